"""Work that would be done again for every file, done once before the forks. None of it changes a result."""

import copy
import dataclasses
import importlib
import json
import marshal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

SCALARS = frozenset({type(None), bool, int, float, str})  # of which the text in JSON tells the type, too
CONTAINERS = frozenset({list, tuple, set, dict})
SHORT = 256  # characters; Airflow's own limit of what it keeps of a template is 4096, unless a team sets another


def ask_once() -> None:
    """Answer from memory, or at a glance, what is asked for every field of a task, every text and every schedule."""
    _check_schemas_once()
    _check_values_once()
    _check_scalars_once()
    _read_settings_once()
    _read_crons_once()
    _read_language_once()
    _compile_dataclasses_once()
    _copy_parameters_at_a_glance()
    _search_no_scalars_for_tasks()
    _store_scalars_as_they_are()
    _leave_out_fields_once()
    _store_short_templates_as_they_are()


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


def _check_scalars_once() -> None:
    """Every DAG is checked by one schema before it is stored; most of it is texts and numbers that others have, too."""
    Validator: Any = importlib.import_module("jsonschema.validators").Draft7Validator  # noqa: N806 - a class
    descend = Validator.descend
    good: dict[tuple[Any, ...], Any] = {}  # schema, by identity, and value → the schema, so that its identity stays

    def descend_once(self: Any, instance: Any, schema: Any, *more: Any, **named: Any) -> Iterator[Any]:
        kind = type(instance)
        key = (id(schema), kind, instance) if kind in SCALARS and self.format_checker is None else None
        if key in good:
            return
        errors = list(descend(self, instance, schema, *more, **named))
        if key is not None and not errors:
            good[key] = schema
        yield from errors

    Validator.descend = descend_once


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


def _copy_parameters_at_a_glance() -> None:
    """Airflow copies the parameters of a DAG for each class of each task's operator; most are JSON and nothing else."""
    param: Any = _found("airflow.sdk.definitions.param", "Param")
    if param is None or hasattr(param, "__deepcopy__"):
        return

    def copied(value: Any, memo: dict[int, Any]) -> Any:
        new = param.__new__(param)
        vars(new).update((name, _copy_of(each, memo)) for name, each in vars(value).items())
        return new

    copy._deepcopy_dispatch[param] = copied  # type: ignore[attr-defined]  # noqa: SLF001 - of this very class only


def _copy_of(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) in SCALARS:
        return value
    with suppress(ValueError):  # it holds what is no JSON
        return marshal.loads(marshal.dumps(value))  # noqa: S302 - written a moment ago
    return copy.deepcopy(value, memo)


def _search_no_scalars_for_tasks() -> None:
    """Every argument of a task is searched for results of other tasks."""
    xcom: Any = _found("airflow.sdk.definitions.xcom_arg", "XComArg")
    search = getattr(xcom, "apply_upstream_relationship", None)
    if search is None:
        return

    def search_unless_scalar(task: Any, value: Any) -> None:
        if type(value) not in SCALARS:
            search(task, value)

    xcom.apply_upstream_relationship = staticmethod(search_unless_scalar)


def _store_scalars_as_they_are() -> None:
    """Most of what is stored of a DAG is text and numbers, which Airflow asks twenty questions before it keeps them."""
    storing: Any = _found("airflow.serialization.serialized_objects", "BaseSerialization")
    serialize = _method(storing, "serialize")
    if serialize is None:
        return

    def serialize_unless_scalar(cls: Any, /, var: Any, **named: Any) -> Any:
        kind = type(var)
        if kind in SCALARS and kind is not float:  # there are floats that are no JSON
            return var
        return serialize(cls, var, **named)

    storing.serialize = classmethod(serialize_unless_scalar)


def _leave_out_fields_once() -> None:
    """Of the seventy fields of a task, Airflow leaves out those with usual values, whose task it does not look at."""
    storing: Any = _found("airflow.serialization.serialized_objects", "OperatorSerialization")
    is_excluded = _method(storing, "_is_excluded")
    if is_excluded is None or not hasattr(storing, "generate_client_defaults"):
        return
    known: dict[tuple[Any, ...], bool] = {}
    plain = {*SCALARS, timedelta, *(_found("airflow.sdk", name) for name in ("TriggerRule", "WeightRule"))}

    def is_excluded_once(cls: Any, /, value: Any, name: str, task: Any) -> bool:
        kind = type(value)
        key: tuple[Any, ...]
        if kind in plain:
            key = (name, kind, value)
        elif kind in CONTAINERS and not value:
            key = (name, kind)
        else:
            return bool(is_excluded(cls, value, name, task))
        answer = known.get(key)
        if answer is None:
            answer = bool(is_excluded(cls, value, name, task))
            # Of the others the task, or its DAG, has a say in it.
            if not name.endswith("_date") and name not in cls.generate_client_defaults():
                known[key] = answer
        return answer

    storing._is_excluded = classmethod(is_excluded_once)  # noqa: SLF001 - it is what takes long


def _store_short_templates_as_they_are() -> None:
    """Most fields with templates hold nothing, or a text that is short enough to be kept whole."""
    objects: Any = importlib.import_module("airflow.serialization.serialized_objects")
    store = getattr(objects, "serialize_template_field", None)
    settings: Any = importlib.import_module("airflow.configuration").conf
    limit = settings.getint("core", "max_templated_field_length", fallback=0)
    if store is None or limit < SHORT:
        return

    def store_unless_short(value: Any, name: str) -> Any:
        if value is None or (type(value) is str and len(value) <= SHORT):
            return value
        return store(value, name)

    objects.serialize_template_field = store_unless_short


def _found(module: str, name: str) -> Any:
    """A name of Airflow's; None in a version that has it elsewhere, or no more."""
    with suppress(ImportError):
        return getattr(importlib.import_module(module), name, None)
    return None


def _method(owner: Any, name: str) -> Callable[..., Any] | None:
    """The function of a class method; None where there is none."""
    found: Callable[..., Any] | None = getattr(vars(owner).get(name), "__func__", None) if owner is not None else None
    return found
