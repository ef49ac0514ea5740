"""Work that would be done again for every file, done once before the forks. None of it changes a result."""

import copy
import dataclasses
import importlib
import importlib.machinery
import importlib.util
import json
import marshal
import py_compile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

SCALARS = frozenset({type(None), bool, int, float, str})  # of which the text in JSON tells the type, too


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


def ask_once() -> None:
    """Answer from memory what is asked for every parameter of every task, for every text and for every schedule."""
    _check_schemas_once()
    _check_values_once()
    _read_settings_once()
    _read_crons_once()
    _read_language_once()
    _compile_dataclasses_once()


def _check_schemas_once() -> None:
    """A schema that is valid stays valid."""
    validators: Any = importlib.import_module("jsonschema.validators")
    Validator = validators.Draft202012Validator  # noqa: N806 - a class
    check = Validator.check_schema.__func__
    good: set[str] = set()

    def check_once(cls: Any, schema: Any, *more: Any, **named: Any) -> None:
        try:
            key = json.dumps(schema)
        except (TypeError, ValueError):  # what is no JSON is no schema that could be known again
            key = ""
        if not key or key not in good:
            check(cls, schema, *more, **named)
            good.add(key)

    Validator.check_schema = classmethod(check_once)


def _check_values_once() -> None:
    """Airflow compares the parameters of every task with those of its DAG, and checks both values for that."""
    package: Any = importlib.import_module("jsonschema")
    validate, usual = package.validate, package.FormatChecker
    good: set[tuple[str, str]] = set()

    def validate_once(instance: Any, schema: Any, *more: Any, format_checker: Any = None, **named: Any) -> None:
        key = None
        is_usual = type(format_checker) is usual and format_checker.checkers == usual.checkers
        if type(instance) in SCALARS and is_usual and not more and not named:
            with suppress(TypeError, ValueError):
                key = json.dumps(schema), json.dumps(instance)
        if key not in good:
            validate(instance, schema, *more, format_checker=format_checker, **named)
            if key is not None:
                good.add(key)

    package.validate = validate_once


def _read_settings_once() -> None:
    """No DAG file changes Airflow's settings for its own serialization."""
    try:
        helpers: Any = importlib.import_module("airflow.serialization.helpers")
        settings = helpers.conf
    except (ImportError, AttributeError):  # before Airflow 3, or after it has changed
        return

    class Remembering:
        def __init__(self) -> None:
            self.known: dict[tuple[Any, ...], Any] = {}

        def __getattr__(self, name: str) -> Any:
            return getattr(settings, name)

        def getint(self, *asked: Any, **named: Any) -> Any:
            key = (*asked, *sorted(named.items()))
            if key not in self.known:
                self.known[key] = settings.getint(*asked, **named)
            return self.known[key]

    helpers.conf = Remembering()


def _read_crons_once() -> None:
    """Airflow has each of its questions about a schedule begin with the cron expression's text."""
    croniter: Any = importlib.import_module("croniter").croniter
    read = getattr(croniter, "_expand", None)
    if read is None:  # another version
        return
    known: dict[str, bytes] = {}

    def read_once(_: Any, expression: str, *more: Any, **named: Any) -> Any:
        if more or any(named.values()) or "r" in expression.lower():  # R is another number each time
            return read(expression, *more, **named)
        if expression not in known:
            known[expression] = marshal.dumps(read(expression, **named))
        return marshal.loads(known[expression])  # noqa: S302 - ours; the quickest copy of lists and sets of numbers

    croniter._expand = classmethod(read_once)  # noqa: SLF001 - it is what takes long


def _read_language_once() -> None:
    """Airflow puts each cron expression into words, and a file with the words' translations is read for each."""
    try:
        texts: Any = importlib.import_module("cron_descriptor.GetText").GetText
    except (ImportError, AttributeError):  # another version
        return
    read = texts.load_locale
    known: dict[tuple[Any, ...], Any] = {}

    def read_once(self: Any, *asked: Any) -> Any:
        if asked not in known:
            known[asked] = read(self, *asked)
        return copy.copy(known[asked])  # what it falls back on is added to it

    texts.load_locale = read_once


def _compile_dataclasses_once() -> None:
    """The team's modules are imported anew for each file, and make their dataclasses of the same texts each time."""
    known: dict[str, Any] = {}

    def exec_once(text: str, *spaces: Any) -> None:
        if text not in known:
            known[text] = compile(text, "<string>", "exec")
        exec(known[text], *spaces)  # noqa: S102 - instead of the one that Python's own module would do

    dataclasses.exec = exec_once  # type: ignore[attr-defined]  # found before the built-in one
