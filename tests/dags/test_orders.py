"""What the DAGs of orders promise each other and the containers."""

from datetime import UTC, datetime

import pytest
from airflow.sdk import DAG


def commands(dag: DAG, **context) -> dict[str, list[str]]:
    """Task → its container and command, rendered."""
    environment = dag.get_template_env()
    rendered = {}
    for task in dag.tasks:
        override = task.overrides["containerOverrides"][0]
        command = [environment.from_string(argument).render(**context) for argument in override["command"]]
        rendered[task.task_id] = [override["name"], *command]
    return rendered


def test_a_day_is_ingested_validated_transformed_and_published_in_this_order(dags):
    order = [task.task_id for task in dags["orders_daily"].topological_sort()]
    assert order == ["ingest", "validate", "transform", "publish"]


@pytest.mark.parametrize(
    ("asked_for", "day"), [(None, "2026-01-02"), ("2026-01-09", "2026-01-09")], ids=["scheduled", "asked for"]
)
def test_every_step_of_a_run_works_on_the_same_day(dags, asked_for, day):
    context = {"params": {"day": asked_for}, "data_interval_start": datetime(2026, 1, 2, tzinfo=UTC)}
    assert commands(dags["orders_daily"], **context) == {
        "ingest": ["ingest", "--day", day],
        "validate": ["transform", "validate", "--day", day],
        "transform": ["transform", "parquet", "--day", day],
        "publish": ["report", "publish", "--day", day],
    }


def test_a_run_covers_a_whole_day_and_missed_days_are_not_caught_up(dags):
    dag = dags["orders_daily"]
    assert not dag.catchup
    assert type(dag.timetable).__name__ == "CronDataIntervalTimetable"


def test_the_report_follows_whatever_publishes_orders(dags):
    (awaited,) = [asset.uri for asset in dags["orders_report"].timetable.asset_condition.objects]
    for dag, task in (("orders_daily", "publish"), ("orders_backfill", "load.publish")):
        assert [asset.uri for asset in dags[dag].get_task(task).outlets] == [awaited]


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-01-30", "2026-02-01", ["2026-01-30", "2026-01-31", "2026-02-01"]),
        ("2026-01-02", "2026-01-02", ["2026-01-02"]),
    ],
)
def test_a_backfill_loads_every_day_of_its_range(dags, first, last, days):
    assert dags["orders_backfill"].get_task("days").python_callable(first, last) == days


@pytest.mark.parametrize(("first", "last"), [("2026-01-02", "2026-01-01"), ("2026-01-01", "2026-12-31")])
def test_a_backfill_of_no_days_or_of_too_many_is_refused(dags, first, last):
    with pytest.raises(ValueError, match="expected 1 to 31"):
        dags["orders_backfill"].get_task("days").python_callable(first, last)


def test_a_backfill_takes_the_steps_of_each_day_in_order(dags):
    dag = dags["orders_backfill"]
    group = [task.task_id for task in dag.topological_sort()]
    assert group == ["days", "load.ingest", "load.validate", "load.transform", "load.publish"]
    assert all(task.get_closest_mapped_task_group() is not None for task in dag.tasks if task.task_id != "days")
