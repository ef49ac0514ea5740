"""By hand: load a range of days again, several at a time.

For days that were missed, or after a rule of validation changed. Loading a day again replaces it.
"""

from datetime import date, timedelta

from airflow.sdk import DAG, Param, chain, task, task_group
from assets import ORDERS
from fargate import fargate_task
from pendulum import datetime

MOST_DAYS = 31  # a container for each step of each day: more than a month is meant to be asked for twice

with DAG(
    dag_id="orders_backfill",
    description="Load a range of days again",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_tasks=4,
    params={
        "first": Param("2026-01-01", type="string", format="date", description="The first day"),
        "last": Param("2026-01-03", type="string", format="date", description="The last day, included"),
        "tolerate": Param(0.1, type="number", minimum=0, maximum=1, description="The share of bad rows allowed"),
    },
    default_args={
        "owner": "shop-data",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["orders"],
):

    @task
    def days(first: str, last: str) -> list[str]:
        """The days to load."""
        start, end = date.fromisoformat(first), date.fromisoformat(last)
        count = (end - start).days + 1
        if not 1 <= count <= MOST_DAYS:
            raise ValueError(f"from {first} to {last} are {count} days; expected 1 to {MOST_DAYS}")
        return [str(start + timedelta(days=n)) for n in range(count)]

    @task_group
    def load(day: str) -> None:
        """One day, as orders_daily loads it."""
        tolerate = "{{ params.tolerate }}"
        chain(
            fargate_task("ingest", command=["--day", day]),
            fargate_task("transform", task_id="validate", command=["validate", "--day", day, "--tolerate", tolerate]),
            fargate_task("transform", command=["parquet", "--day", day]),
            fargate_task("report", task_id="publish", command=["publish", "--day", day], outlets=[ORDERS]),
        )

    load.expand(day=days("{{ params.first }}", "{{ params.last }}"))
