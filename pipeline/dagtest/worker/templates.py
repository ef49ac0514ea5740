"""Render a DAG's templates with a sample data interval: a misspelt name shows now, not at night."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateSyntaxError, UndefinedError

from pipeline.dagtest.worker.anything import Anything, UsedTooOften
from pipeline.dagtest.worker.mapped import written_out
from pipeline.dagtest.worker.template_context import DATES, context_of_dag, context_of_task
from pipeline.dagtest.worker.watch import AccessWhileParsing

_compiled: dict[tuple[type, str], Any] = {}  # jinja's environment and a text → its code
_OF_ANY = re.compile(r"{{ task\.(task_id|dag_id) }}")  # texts, in every task
_UNDECLARED = re.compile(
    r"'(\w+)' is undefined"
)  # jinja's words for a name that nobody has set; others are its members


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
            except (AccessWhileParsing, UsedTooOften):
                continue  # a macro that asks for something: it may, when a task runs
            except Exception as error:  # noqa: BLE001 - jinja, a filter, a macro of the team's: all mean "does not render"
                if _is_sure(error, text):
                    yield task.task_id, field, f"{text!r}: {type(error).__name__}: {error}"


def _is_sure(error: Exception, text: str) -> bool:
    """Whether a template would fail in a run as well.

    error                                               is sure
    the text is no template, or has an unknown filter   yes
    any, before anything of a run was used              yes
    a name that nobody sets                             yes
    a name that the template sets in some case          no: a run's own values may make it that case
    a date, in a template with an `if`                  no: the run may be one that has dates
    any other                                           no: the run's own value may be good
    """
    if isinstance(error, TemplateSyntaxError) or not (Anything.uses or Anything.__name__ in str(error)):
        return True
    undeclared = _UNDECLARED.fullmatch(str(error)) if isinstance(error, UndefinedError) else None
    if undeclared is None or (undeclared[1] in DATES and re.search(r"\bif\b", text)):
        return False
    return re.search(rf"\bset\s+{undeclared[1]}\b", text) is None


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
        """Raises whatever the template raises; from here on, uses of what only a run knows are counted anew."""
        Anything.uses = 0
        if task is not self._task:
            params = _params_of_run(self._dag, task)
            self._context = {**self._common, **context_of_task(task), "params": params}
            self._task, self._params = task, _as_text(params)
        if (text, self._params) in self._good:
            return
        if text not in self._compiled:
            environment = self._environment
            self._compiled[text] = (
                environment.get_template(text) if is_file else _template(self._dag, environment, text)
            )
        self._compiled[text].render(**self._context)
        if self._params and not is_file and "task" not in _OF_ANY.sub("", text):  # so it renders in any other task
            self._good.add((text, self._params))

    @cached_property
    def _environment(self) -> Any:
        environment = self._dag.get_template_env()
        environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": str}
        return environment

    @cached_property
    def _common(self) -> dict[str, Any]:
        return context_of_dag(self._dag)


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
        value = given[field] if field in given else getattr(task, field, None)
        if value is not None:
            for text in _strings(value):
                yield field, text
    if given:  # a mapped task
        for field, value in written_out(task):
            if field in task.template_fields:
                for text in _strings(value):
                    yield field, text


def _strings(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, dict | Mapping):  # a dict is known at a glance
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple | set):
        return [text for item in value for text in _strings(item)]
    return ()


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
