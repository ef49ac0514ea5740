"""The step `sales`: all days together, by day, country and category."""

import json
import tempfile
from pathlib import Path

import duckdb
from databucket import layout
from databucket.bucket import Bucket
from databucket.command import BadDataError

from report.table import orders, records

SALES = """
    SELECT CAST(day AS DATE) AS day, country, category, count(DISTINCT order_id) AS orders,
           CAST(sum(quantity) AS BIGINT) AS articles, sum(amount_eur) AS amount_eur
    FROM orders GROUP BY ALL ORDER BY ALL
"""
BY_DAY = """
    SELECT CAST(day AS DATE) AS day, count(DISTINCT order_id) AS orders, sum(amount_eur) AS amount_eur
    FROM orders GROUP BY ALL ORDER BY ALL
"""
BY_COUNTRY = """
    SELECT country, count(DISTINCT order_id) AS orders, sum(amount_eur) AS amount_eur
    FROM orders GROUP BY ALL ORDER BY ALL
"""


def sales(bucket: Bucket) -> str:
    """Write the sales of all days that are in the table: Parquet for machines, JSON for a glance.

    Raises:
        BadDataError: The table is empty.
    """
    partitions = bucket.keys(layout.TABLE_OF_ORDERS)
    if not partitions:
        raise BadDataError(f"there is no day below {layout.TABLE_OF_ORDERS} yet; run orders_daily first")
    with orders(bucket, partitions) as database:
        summary = {"days": records(database, BY_DAY), "countries": records(database, BY_COUNTRY)}
        parquet = _parquet(database)
    bucket.write(layout.SALES_PARQUET, parquet)
    bucket.write(layout.SALES_JSON, json.dumps(summary, indent=2).encode())
    return f"summed up {len(partitions)} days in {layout.SALES_JSON} and {layout.SALES_PARQUET}"


def _parquet(database: duckdb.DuckDBPyConnection) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sales.parquet")
        database.execute(f"COPY ({SALES}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()
