"""What the worker tells about a DAG file, as typed values."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Shown = Callable[[str], str]  # a path as people write it


@dataclass(frozen=True)
class ImportFailure:
    """Why Airflow could not import a file.

    Attributes:
        message: One line.
        line: The line in the file, when the failure has one there.
        details: The traceback, or what the file printed.
        is_denied: It is the access that the tests deny, which a rule of its own tells.
    """

    message: str
    line: int | None = None
    details: str = ""
    is_denied: bool = False


@dataclass(frozen=True)
class Event:
    """Something a file did while it was parsed.

    Attributes:
        kind: `network`, `database`, `variables`, `connections`, `processes`, `files`, `signal` or `exit`.
        what: In words, without a subject: "connect to db:5432".
        line: The line in the DAG file that led to it.
        via: `file:line` of the team's own module that did it, "" when the DAG file did.
    """

    kind: str
    what: str
    line: int | None = None
    via: str = ""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        bases: Its operator's class and those it derives from, the nearest first.
        overrides: What it overrides of the container task it runs; None when it runs none.
        downstream: The tasks that wait for it.
    """

    task_id: str
    operator: str
    line: int | None = None
    bases: tuple[str, ...] = ()
    owner: str = ""
    retries: int = 0
    overrides: "Overrides | None" = None
    downstream: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overrides:
    """RunTask's `overrides`; `value` is any JSON, since authors write it; unknown where only a run knows them."""

    value: Any = None
    is_known: bool = True

    @property
    def containers(self) -> Sequence[Any]:
        """The entries of `containerOverrides`, whatever they are."""
        entries = self.value.get("containerOverrides") if isinstance(self.value, Mapping) else None
        return entries if isinstance(entries, list) else []


@dataclass(frozen=True)
class FailingTemplate:
    """A template that does not render with a sample data interval."""

    task_id: str
    field: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Schedule:
    """When a DAG runs.

    Attributes:
        timetable: Its class.
        is_automatic: Time alone starts its runs.
        has_next: There is a run to come.
        error: Why none can be computed, "" when it can.
        start: The earliest start date.
        has_ended: Its end date has passed, or its last run has.
        is_moving: The start date is the second of parsing, or just before it.
        summary: Airflow's own words for it; "None" where nothing starts the DAG.
    """

    timetable: str
    is_automatic: bool = True
    has_next: bool = True
    error: str = ""
    start: str | None = None
    has_ended: bool = False
    is_moving: bool = False
    summary: str = ""


@dataclass(frozen=True)
class Dag:
    """A DAG as Airflow sees it.

    Attributes:
        moving_start: The line of a start date made of the time of parsing.
        twins: The lines of other DAGs of the same id in the file.
        unused_arguments: Name in `default_args` that none of its operators takes → the one that may be meant,
            "DAG" for one that the DAG itself takes, "" for none.
    """

    dag_id: str
    line: int | None = None
    tasks: tuple[Task, ...] = ()
    failing_templates: tuple[FailingTemplate, ...] = ()
    tags: tuple[str, ...] = ()
    schedule: Schedule | None = None
    moving_start: int | None = None
    twins: tuple[int | None, ...] = ()
    unused_arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cycle:
    """Tasks that wait for each other: each for the one before it, the first named again at the end."""

    dag_id: str
    tasks: tuple[str, ...]
    line: int | None = None


@dataclass(frozen=True)
class Remark:
    """Something about a line of the file or of a module of the team's: a missing module's name, a warning."""

    text: str
    line: int | None
    path: str


@dataclass(frozen=True)
class DagFile:
    """A file that Airflow would read.

    Attributes:
        path: As people write it: relative to the project where it lies there.
        seconds: How long importing it took.
        failure: None when it was imported.
        dags: Its DAGs, by id.
        events: What it did while it was parsed.
        printed: Bytes it printed.
        cycles: Of DAGs that Airflow refused for one.
        missing: Modules that it or a module of the team's imports and that are not there.
        deprecations: Warnings of Airflow's while it was imported.
        own: The team's modules that it imported.
        uncalled: Function that makes a DAG, and that nothing in the file calls → its line.
        is_kept: The result is of an earlier run.
    """

    path: str
    seconds: float = 0.0
    failure: ImportFailure | None = None
    dags: tuple[Dag, ...] = ()
    events: tuple[Event, ...] = ()
    printed: int = 0
    cycles: tuple[Cycle, ...] = ()
    missing: tuple[Remark, ...] = ()
    deprecations: tuple[Remark, ...] = ()
    own: tuple[str, ...] = ()
    uncalled: Mapping[str, int] = field(default_factory=dict)
    is_kept: bool = False


def dag_file(document: Mapping[str, Any], shown: Shown, limit: float, memory: int, *, is_kept: bool = False) -> DagFile:
    """A file from the worker's document.

    outcome     meaning
    done        Airflow imported it, or says why not
    timed out   it was killed after `limit` seconds, and said where it was
    ended       its process ended before it could tell; what it did last may say why
    not begun   the run's budget was used up before its turn

    Args:
        document: A line of the worker's output, decoded.
        shown: A path as people write it.
        limit: Seconds that importing a file may take.
        memory: Bytes that a file may take.
        is_kept: It is of an earlier run.
    """
    events = tuple(
        Event(event["kind"], event["what"], event["line"], shown(event["via"]) if event["via"] else "")
        for event in document["events"]
    )
    result: Mapping[str, Any] = document.get("result", {})
    return DagFile(
        shown(document["path"]),
        float(document["seconds"]),
        _failure(document, events, limit, memory),
        tuple(_dag(dag) for dag in result.get("dags", ())),
        events,
        int(document["printed_bytes"]),
        tuple(Cycle(cycle["dag_id"], tuple(cycle["tasks"]), cycle["line"]) for cycle in result.get("cycles", ())),
        tuple(Remark(found["name"], found["line"], shown(found["path"])) for found in result.get("missing", ())),
        tuple(
            Remark(found["message"], found["line"], shown(found["path"])) for found in result.get("deprecations", ())
        ),
        tuple(map(shown, result.get("own", ()))),
        result.get("uncalled", {}),
        is_kept,
    )


def _failure(document: Mapping[str, Any], events: Sequence[Event], limit: float, memory: int) -> ImportFailure | None:
    outcome: Literal["done", "timed out", "ended", "not begun"] = document["outcome"]
    printed = str(document["printed"])
    if outcome == "not begun":
        return ImportFailure("it was not imported: the other files had used up the time of the whole run")
    if outcome == "timed out":
        line = _last_line(printed, document["path"])
        return ImportFailure(f"importing it did not end within {limit:g} s", line, printed)
    if outcome == "ended":
        last = next((event for event in reversed(events) if event.kind in ("exit", "signal")), None)
        by = f" ({last.what})" if last else ""
        line = last.line if last else _last_line(printed, document["path"])
        return ImportFailure(f"importing it {document['how']}{by}", line, printed)
    found = document["result"]
    error = found["error"]
    if not error:
        return None
    message: str = error["message"]
    if message.startswith("MemoryError"):
        message = f"it needs more than {memory / (1 << 30):g} GiB of memory (MemoryError)"
    elif message.startswith("SystemExit"):
        message = f"it ends the process that imports it, as sys.exit() does ({message})"
    return ImportFailure(message, error["line"], error["traceback"], bool(found["denied"]))


def _last_line(printed: str, path: str) -> int | None:
    """The innermost line of the file in the stack that it printed when asked where it is."""
    found = re.search(rf'^\s*File "{re.escape(path)}", line (\d+)', printed, re.MULTILINE)
    return int(found[1]) if found else None


def _dag(document: Mapping[str, Any]) -> Dag:
    schedule = document["schedule"]
    return Dag(
        document["dag_id"],
        document["line"],
        tuple(_task(task) for task in document["tasks"]),
        tuple(
            FailingTemplate(template["task_id"], template["field"], template["message"], template["line"])
            for template in document["templates"]
        ),
        tuple(document["tags"]),
        schedule
        and Schedule(
            schedule["timetable"],
            schedule["automatic"],
            schedule["next"],
            schedule["error"],
            schedule["start"],
            schedule["ended"],
            schedule["moving"],
            schedule["summary"],
        ),
        document["moving_start"],
        tuple(document["twins"]),
        document["unused_arguments"],
    )


def _task(document: Mapping[str, Any]) -> Task:
    overrides = document["overrides"]
    return Task(
        document["task_id"],
        document["operator"],
        document["line"],
        tuple(document["bases"]),
        document["owner"],
        document["retries"],
        None
        if overrides is None
        else Overrides(None, is_known=False)
        if overrides == "later"
        else Overrides(overrides),
        tuple(document["downstream"]),
    )
