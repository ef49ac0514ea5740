"""Bytecode of the team's modules that many DAG files import, compiled once before the forks."""

import importlib.machinery
import py_compile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any


def compile_once(dags: str, shared: Iterable[Path]) -> None:
    """Keep bytecode of the modules that many files import, tied to their content; of DAG files, none.

    Python ties bytecode to a file by second and size, which is good enough for packages, not for files being edited.
    For the DAG folder only bytecode that holds the digest of its source is read, and only we write it.
    """
    good = set()
    for path in shared:
        with suppress(py_compile.PyCompileError, OSError):
            py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
            good.add(str(path))
    loader: Any = importlib.machinery.SourceFileLoader
    write, stats = loader._cache_bytecode, loader.path_stats  # noqa: SLF001 - the only place where bytecode is written

    def write_of_packages(self: Any, source: str, *more: Any) -> None:
        if not source.startswith(dags):
            write(self, source, *more)

    def stats_of_known(self: Any, path: str) -> Any:
        if path.startswith(dags) and path not in good:
            raise OSError("no bytecode for it")
        return stats(self, path)

    loader._cache_bytecode, loader.path_stats = write_of_packages, stats_of_known  # noqa: SLF001 - as above
