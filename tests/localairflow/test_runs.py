from datetime import UTC, date, datetime
from typing import Any

from pipeline.localairflow.runs import Task, news, request, tasks_of

NOW = datetime(2026, 11, 23, 12, 30, 5, tzinfo=UTC)


def instance(task: str, state: str | None, **members: Any) -> dict[str, Any]:
    return {"task_id": task, "state": state, "map_index": -1, "try_number": 1, "start_date": None, **members}


def test_a_run_about_a_day_has_that_day_as_its_data_interval() -> None:
    body = request(NOW, date(2026, 11, 1), {"full": True})
    assert body == {
        "dag_run_id": "cli-20261123T123005",
        "conf": {"full": True},
        "logical_date": "2026-11-01T00:00:00+00:00",
        "data_interval_start": "2026-11-01T00:00:00+00:00",
        "data_interval_end": "2026-11-02T00:00:00+00:00",
    }


def test_a_run_about_no_day_leaves_its_interval_to_the_dag() -> None:
    assert request(NOW, None, {}) == {"dag_run_id": "cli-20261123T123005", "conf": {}, "logical_date": None}


def test_tasks_come_in_the_order_they_started_and_mapped_ones_have_their_index() -> None:
    found = tasks_of([
        instance("later", None),
        instance("mapped", "running", map_index=1, start_date="2026-11-23T12:00:02Z"),
        instance("first", "success", start_date="2026-11-23T12:00:01Z", try_number=2),
    ])  # fmt: skip
    assert found == (Task("first", "success", 2), Task("mapped[1]", "running", 1), Task("later", "", 1))


def test_only_what_changed_and_matters_is_news() -> None:
    before = (Task("a", "running", 1), Task("b", "", 0))
    now = (Task("a", "running", 1), Task("b", "queued", 1))
    assert news(before, now) == ()
    assert news(before, (Task("a", "failed", 1), Task("a", "running", 2))) == (
        Task("a", "failed", 1),
        Task("a", "running", 2),
    )
