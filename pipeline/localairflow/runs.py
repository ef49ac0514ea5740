"""Running a DAG once and watching it to its end: the request and the news (pure), and the watching."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import sleep
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.localairflow.environment import AirflowSilentError, LocalEnvironment

ENDED: Final = ("success", "failed")
FAILED: Final = ("failed", "upstream_failed")
_PAUSE: Final = 1.0
_PAGE: Final = 100
_SILENCES: Final = 10  # looks in a row that may fail: an Airflow may be started again meanwhile
_APPEARANCES: Final = 60  # looks at a DAG that is not there yet: its file may still be on its way


@dataclass(frozen=True)
class Task:
    """A task of a run.

    Attributes:
        id: With its index where it is mapped.
        state: As Airflow says; "" before it has one.
        attempt: Which try.
    """

    id: str
    state: str
    attempt: int


def request(now: datetime, day: date | None, conf: Mapping[str, Any]) -> dict[str, Any]:
    """The body that starts a run.

    The run's id is short: InvokeRestApi's paths have 64 characters.

    Args:
        now: In UTC.
        day: The data interval is that day; None leaves it to the DAG's timetable.
        conf: The run's parameters.
    """
    body: dict[str, Any] = {"dag_run_id": f"cli-{now:%Y%m%dT%H%M%S}", "conf": dict(conf), "logical_date": None}
    if day is not None:
        start = datetime.combine(day, time(), UTC)
        body |= {
            "logical_date": start.isoformat(),
            "data_interval_start": start.isoformat(),
            "data_interval_end": (start + timedelta(days=1)).isoformat(),
        }
    return body


def tasks_of(items: Iterable[Mapping[str, Any]]) -> tuple[Task, ...]:
    """Tasks from Airflow's task instances, in the order they started."""
    ordered = sorted(
        items, key=lambda item: (item.get("start_date") or "9", item["task_id"], item.get("map_index", -1))
    )
    return tuple(
        Task(
            id=item["task_id"] if item.get("map_index", -1) < 0 else f"{item['task_id']}[{item['map_index']}]",
            state=str(item.get("state") or ""),
            attempt=int(item.get("try_number") or 0),
        )
        for item in ordered
    )


def news(before: Iterable[Task], now: Iterable[Task]) -> tuple[Task, ...]:
    """The tasks whose state or attempt is new and worth a line."""
    known = set(before)
    return tuple(task for task in now if task not in known and task.state not in ("", "scheduled", "queued"))


def start(
    environment: LocalEnvironment, dag: str, body: Mapping[str, Any], *, pause: Callable[[float], None] = sleep
) -> None:
    """Switch the DAG on and start a run.

    Raises:
        PipelineError: Airflow does not know the DAG, or refuses the run.
    """
    for look in range(_APPEARANCES):
        try:
            environment.rest("PATCH", f"/dags/{dag}", {"is_paused": False}, {"update_mask": "is_paused"})
            environment.rest("POST", f"/dags/{dag}/dagRuns", dict(body))
        except PipelineError as error:
            # Airflow knows a new DAG by name a moment before it can run it.
            if "not found" not in str(error) or look == _APPEARANCES - 1:
                raise
            _raise_import_errors(environment, dag)
            pause(_PAUSE)
        else:
            return


def follow(
    environment: LocalEnvironment,
    dag: str,
    run: str,
    tell: Callable[[Task], None],
    *,
    pause: Callable[[float], None] = sleep,
) -> tuple[str, tuple[Task, ...]]:
    """Watch a run to its end.

    Returns:
        The state it ended in, and its tasks.
    """
    seen: tuple[Task, ...] = ()
    silences = 0
    while True:
        try:
            now, state = _look(environment, dag, run)
        except AirflowSilentError:
            silences += 1
            if silences > _SILENCES:
                raise
        else:
            silences = 0
            for task in news(seen, now):
                tell(task)
            seen = now
            if state in ENDED:
                return state, seen
        pause(_PAUSE)


def _look(environment: LocalEnvironment, dag: str, run: str) -> tuple[tuple[Task, ...], str]:
    """The tasks of a run, and its state. That is asked for first: when it has ended, so have the tasks seen then."""
    state = _state(environment, dag, run)
    found = environment.rest(
        "POST",
        "/dags/~/dagRuns/~/taskInstances/list",
        {"dag_ids": [dag], "dag_run_ids": [run], "page_limit": _PAGE},
    )
    return tasks_of(found["task_instances"]), state


def _state(environment: LocalEnvironment, dag: str, run: str) -> str:
    body = {"dag_ids": [dag], "order_by": "-run_after", "page_limit": _PAGE}
    for found in environment.rest("POST", "/dags/~/dagRuns/list", body)["dag_runs"]:
        if found["dag_run_id"] == run:
            return str(found["state"])
    raise PipelineError(f"the run {run} of {dag} is gone", where=environment.name)


def _raise_import_errors(environment: LocalEnvironment, dag: str) -> None:
    """Say which files Airflow cannot import: then waiting for the DAG helps nobody."""
    found = environment.rest("GET", "/importErrors", query={"limit": _PAGE}).get("import_errors", [])
    if found:
        traces = [f"{error['filename']}:\n{str(error['stack_trace']).strip()}" for error in found]
        raise PipelineError(
            "\n".join([f"Airflow knows no DAG {dag}, and cannot import these files:", *traces]), where=environment.name
        )
