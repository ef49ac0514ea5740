"""Every night: yesterday's orders from the shop into the table of orders, and the day's report."""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, chain
from assets import ORDERS
from fargate import fargate_task
from pendulum import datetime

# The day that a run is about: the start of its data interval, unless someone asks for another.
DAY = "{{ params.day or data_interval_start | ds }}"

with DAG(
    dag_id="orders_daily",
    description="A day's orders: ingest, validate, transform, publish",
    doc_md=__doc__,
    # With a data interval: the run of 2 January is about 2 January, and starts when that day is over.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    # Days that were missed are loaded on purpose, with orders_backfill, not all at once when the DAG is switched on.
    catchup=False,
    # Days do not depend on each other, but the shop's export serves one reader at a time.
    max_active_runs=1,
    params={"day": Param(None, type=["null", "string"], format="date", description="Load this day instead")},
    default_args={
        "owner": "shop-data",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["orders"],
):
    ingest = fargate_task("ingest", command=["--day", DAY])
    validate = fargate_task("transform", task_id="validate", command=["validate", "--day", DAY])
    transform = fargate_task("transform", command=["parquet", "--day", DAY])
    publish = fargate_task("report", task_id="publish", command=["publish", "--day", DAY], outlets=[ORDERS])
    chain(ingest, validate, transform, publish)
