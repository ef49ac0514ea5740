"""Which files Airflow would read, by its own rules, and which it passes over though they were meant for it."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path


def dag_files(path: Path, dags: Path) -> Sequence[Path]:
    """The files that Airflow would read in a folder (.airflowignore, safe mode), and broken ones; a file as it is.

    Args:
        path: The file or folder.
        dags: The DAG folder: what its .airflowignore says is so in the folders in it as well.
    """
    if path.is_file():
        return [path]
    if path.is_relative_to(dags):
        return [file for file in _in_folder(dags) if file.is_relative_to(path)]
    return _in_folder(path)


def why_passed_over(path: Path) -> str:
    """Why Airflow would not even look into a file, in words; "" if it would.

    a file                                          why
    Python, of which a text of two bytes to a       not UTF-8
    character would name airflow and a DAG
    zip, begun as one and not ended                 broken
    any other                                       ""
    """
    try:
        with path.open("rb") as file:
            begin = file.read(4)
            if path.suffix == ".zip":
                is_broken = begin.startswith(b"PK") and not zipfile.is_zipfile(file)
                return "it is a broken zip file: Airflow passes over it, and says nothing" if is_broken else ""
            if b"\0" not in begin and not begin.startswith((b"\xff\xfe", b"\xfe\xff")):
                return ""
            letters = (begin + file.read()).replace(b"\0", b"").lower()
    except OSError:  # Airflow tells of it
        return ""
    is_meant = b"airflow" in letters and b"dag" in letters
    return "it is not UTF-8: Airflow passes over it, and says nothing" if is_meant else ""


@cache
def _in_folder(folder: Path) -> Sequence[Path]:
    from airflow.configuration import conf  # noqa: PLC0415 - as below

    try:
        from airflow.dag_processing.importers.python_importer import PythonDagImporter  # noqa: PLC0415 - since 3.2

        # It does not ask for the option itself, as what calls it does on MWAA.
        found = [*PythonDagImporter().list_dag_files(folder, conf.getboolean("core", "dag_discovery_safe_mode"))]
    except ImportError:
        from airflow.utils.file import list_py_file_paths  # noqa: PLC0415 - before 3.2

        takes_examples = "include_examples" in list_py_file_paths.__code__.co_varnames  # until 2.11
        found = list_py_file_paths(folder, **({"include_examples": False} if takes_examples else {}))
    passed_over = {file for file in _others(folder, set(found)) if why_passed_over(Path(file))}
    if passed_over:
        found += passed_over.intersection(_not_ignored(folder))
    return sorted(Path(file) for file in found)


def _others(folder: Path, taken: set[str]) -> Iterator[str]:
    """Not by way of links: a bucket has none, and an ignored one may lead in a circle."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = f"{root}/{name}"
            if name.endswith((".py", ".zip")) and path not in taken and Path(path).is_file():
                yield path


def _not_ignored(folder: Path) -> Iterator[str]:
    from airflow.configuration import conf  # noqa: PLC0415 - few folders have such files

    try:
        from airflow._shared.module_loading import find_path_from_directory  # noqa: PLC0415 - since 3.2
    except ImportError:
        from airflow.utils.file import find_path_from_directory  # noqa: PLC0415 - before 3.2
    syntax = conf.get_mandatory_value("core", "dag_ignore_file_syntax")
    yield from find_path_from_directory(folder, ".airflowignore", syntax)
