"""Render a DAG's templates with a sample data interval: a misspelt name shows now, not at night."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import pendulum

from pipeline.dagtest.worker.watch import AccessWhileParsing

SAMPLE = pendulum.datetime(2026, 1, 2)
TRIGGERED_BY_ASSETS = ("AssetTriggeredTimetable", "DatasetTriggeredTimetable")
_compiled: dict[tuple[type, str], Any] = {}  # jinja's environment and a text → its code


class Anything:
    """Stands for what is known in a run only (the task instance, variables, connections): every use of it works."""

    unsafe_callable = alters_data = False  # what a sandbox asks before it calls something

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> "Anything":
        return self

    def __call__(self, *_: object, **__: object) -> "Anything":
        """Itself."""
        return self

    def __iter__(self) -> Iterator["Anything"]:
        return iter(())

    def __eq__(self, other: object) -> bool:
        return False

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 1

    def __index__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __add__(self, other: object) -> "Anything":
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __mod__ = __add__

    def __str__(self) -> str:
        return "anything"


class _AnyParams(dict[str, Any]):
    """Parameters of a DAG that is started by hand: whoever starts it may give it any."""

    def __missing__(self, name: str) -> Anything:
        return Anything()


def failing_templates(dag: Any) -> Iterator[tuple[str, str, str]]:
    """The task, the field and the reason of each template of a DAG that does not render."""
    run = _SampleRun(dag)
    for task in dag.tasks:
        endings = tuple(getattr(task, "template_ext", ()) or ())
        for field, text in _texts(task):
            is_file = bool(endings) and text.endswith(endings)
            if not is_file and "{{" not in text and "{%" not in text:
                continue
            try:
                run.render(task, text, is_file=is_file)
            except AccessWhileParsing:
                continue  # a macro that asks for something: it may, when a task runs
            except Exception as error:  # noqa: BLE001 - jinja, a filter, a macro of the team's: all mean "does not render"
                yield task.task_id, field, f"{text!r}: {type(error).__name__}: {error}"


class _SampleRun:
    """A run that only renders. The same text stands in many tasks: it is compiled once, and often rendered once."""

    def __init__(self, dag: Any) -> None:
        self._dag = dag
        self._task: Any = None
        self._context: dict[str, Any] = {}
        self._params = ""
        self._compiled: dict[str, Any] = {}
        self._good: set[tuple[str, str]] = set()  # texts that render, and with which parameters

    def render(self, task: Any, text: str, *, is_file: bool) -> None:
        """Raises whatever the template raises."""
        if task is not self._task:
            params = _params_of_run(self._dag, task)
            self._context = {**self._common, "task": task, "params": params}
            self._task, self._params = task, _as_text(params)
        if (text, self._params) in self._good:
            return
        if text not in self._compiled:
            environment = self._environment
            self._compiled[text] = (
                environment.get_template(text) if is_file else _template(self._dag, environment, text)
            )
        self._compiled[text].render(**self._context)
        if self._params and not is_file and "task" not in text:  # so it renders in any other task
            self._good.add((text, self._params))

    @cached_property
    def _environment(self) -> Any:
        environment = self._dag.get_template_env()
        environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": str}
        return environment

    @cached_property
    def _common(self) -> dict[str, Any]:
        return _context(self._dag)


def _template(dag: Any, environment: Any, text: str) -> Any:
    """A template of the text, compiled once for all DAGs that add nothing to jinja's language."""
    if any(getattr(dag, name, None) for name in ("user_defined_filters", "jinja_environment_kwargs")):
        return environment.from_string(text)
    key = type(environment), text
    if key not in _compiled:
        _compiled[key] = environment.compile(text)
    return environment.template_class.from_code(environment, _compiled[key], environment.make_globals(None))


def _texts(task: Any) -> Iterator[tuple[str, str]]:
    given: Mapping[str, Any] = getattr(task, "partial_kwargs", {})
    for field in task.template_fields:
        for text in _strings(given.get(field, getattr(task, field, None))):
            yield field, text


def _strings(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple | set):
        return [text for item in value for text in _strings(item)]
    return ()


def _context(dag: Any) -> dict[str, Any]:
    """What templates may use ("Templates reference" of Airflow). A run that assets trigger has no data interval."""
    later = Anything()
    context: dict[str, Any] = {
        **dict.fromkeys(("ti", "task_instance", "var", "conn", "dag_run", "triggering_asset_events"), later),
        **dict.fromkeys(("triggering_dataset_events", "inlet_events", "outlet_events"), later),
        **dict.fromkeys(("task_state_store", "asset_state_store", "partition_key", "partition_date"), later),
        "macros": _macros(),
        **dict.fromkeys(("prev_data_interval_start_success", "prev_data_interval_end_success"), later),
        **dict.fromkeys(("prev_start_date_success", "prev_end_date_success", "map_index_template"), later),
        "dag": dag,
        "run_id": "scheduled__2026-01-02T00:00:00+00:00",
        "inlets": [],
        "outlets": [],
        "test_mode": False,
        "expanded_ti_count": None,
        "task_instance_key_str": "sample",
    }
    if type(dag.timetable).__name__ not in TRIGGERED_BY_ASSETS:
        context |= {
            "data_interval_start": SAMPLE,
            "data_interval_end": SAMPLE.add(days=1),
            "logical_date": SAMPLE,
            "ds": "2026-01-02",
            "ds_nodash": "20260102",
            "ts": "2026-01-02T00:00:00+00:00",
            "ts_nodash": "20260102T000000",
            "ts_nodash_with_tz": "20260102T000000+0000",
        }
    return context | dict(getattr(dag, "user_defined_macros", None) or {})


def _macros() -> Any:
    try:
        from airflow.sdk.execution_time import macros  # noqa: PLC0415 - only a file with templates needs it
    except ImportError:  # before Airflow 3
        from airflow import macros  # noqa: PLC0415 - as above
    return macros


def _params_of_run(dag: Any, task: Any) -> dict[str, Any]:
    kind = _AnyParams if type(dag.timetable).__name__ == "NullTimetable" else dict
    return kind(_params(dag) | _params(task))


def _as_text(params: Mapping[str, Any]) -> str:
    """Equal for equal parameters; "" when that cannot be told."""
    try:
        return json.dumps(params)
    except (TypeError, ValueError, RecursionError):
        return ""


def _params(owner: Any) -> dict[str, Any]:
    """The default values. Whether a value fits its schema is asked when someone gives one, and takes long."""
    params = getattr(owner, "params", None) or {}
    if not hasattr(params, "get_param"):
        return dict(params)
    values = {name: getattr(params.get_param(name), "value", None) for name in params}
    return {name: Anything() if type(value).__name__ == "ArgNotSet" else value for name, value in values.items()}
