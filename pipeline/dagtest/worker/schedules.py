"""Compute a DAG's next runs, as the scheduler would."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.timetables.base import DataInterval, TimeRestriction

RUNS = 2  # the first, and one that follows another: a team's own timetable may fail at either
AIRFLOWS = "airflow.timetables."  # its own timetables compute each run in the same way
AT_ONCE = timedelta(minutes=5)  # a start date nearer to now than this, and with seconds, is made of now


def schedule(dag: Any, stored: Any) -> dict[str, Any]:
    """What a reader of a DAG's schedule needs to know.

    Args:
        dag: The DAG as its author wrote it.
        stored: The DAG as the scheduler reads it back, or the same one before Airflow 3.2.

    Returns:
        `timetable`: its class; `summary`: Airflow's own words for it; `automatic`: time alone starts runs;
        `next`: there is a run to come; `error`: why none can be computed, or ""; `start`, `end`: dates or None;
        `ended`: the end date has passed, or there were runs and there are none to come; `moving`: the start date is
        made of now, or is a second that was just then: which of them, another time tells.
    """
    timetable = stored.timetable
    now = datetime.now(UTC)
    known = {dag.start_date, *(task.start_date for task in dag.tasks)} - {None}
    ends = [dag.end_date] if dag.end_date else []
    document: dict[str, Any] = {
        "timetable": type(timetable).__name__,
        "summary": str(getattr(timetable, "summary", "") or ""),
        "automatic": bool(getattr(timetable, "can_be_scheduled", True)) and not _by_assets(timetable),
        "next": True,
        "error": "",
        "start": str(min(known)) if known else None,
        "end": str(max(ends)) if ends else None,
        "ended": bool(ends) and max(ends) < now,
        "moving": any(abs(now - start) < AT_ONCE and (start.second or start.microsecond) for start in known),
    }
    if not document["automatic"]:
        return document
    first, last = min(known) if known else None, max(ends) if ends else None
    try:
        document["next"] = _runs(timetable, TimeRestriction(first, last, bool(dag.catchup))) > 0
        if not document["next"] and not dag.catchup:
            document["ended"] |= _runs(timetable, TimeRestriction(first, last, catchup=True)) > 0
    except Exception as error:  # noqa: BLE001 - a timetable is the team's own code, too
        document["error"] = f"{type(error).__name__}: {error}"
    return document


def _runs(timetable: Any, restriction: TimeRestriction) -> int:
    last: DataInterval | None = None
    info: Any = None
    count = 0
    for _ in range(1 if type(timetable).__module__.startswith(AIRFLOWS) else RUNS):
        if hasattr(timetable, "next_dagrun_info_v2"):
            info = timetable.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction)
        else:
            info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info is None:
            break
        count += 1
        last = info.data_interval
    return count


def _by_assets(timetable: Any) -> bool:
    names = {base.__name__ for base in type(timetable).__mro__}
    return bool(names & {"AssetTriggeredTimetable", "DatasetTriggeredTimetable", "PartitionedAssetTimetable"})
