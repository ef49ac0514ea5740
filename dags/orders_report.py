"""Whenever the table of orders has changed: the sales of all days, by day, country and category."""

from datetime import timedelta

from airflow.sdk import DAG
from assets import ORDERS
from fargate import fargate_task
from pendulum import datetime

with DAG(
    dag_id="orders_report",
    description="The sales of all days, whenever the table of orders has changed",
    doc_md=__doc__,
    schedule=[ORDERS],
    start_date=datetime(2026, 1, 1),
    # Each run sums up the whole table: of several changes only the last matters.
    max_active_runs=1,
    # It follows its data: whoever switches the loading on means this as well.
    is_paused_upon_creation=False,
    default_args={
        "owner": "shop-data",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["orders"],
):
    fargate_task("report", task_id="sales", command=["sales"])
