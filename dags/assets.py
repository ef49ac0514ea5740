"""Data that one DAG writes and another waits for."""

from airflow.sdk import Asset
from fargate import RELEASE

# The table of orders, a partition for each day.
ORDERS = Asset(f"s3://{RELEASE.data_bucket}/tables/orders")
