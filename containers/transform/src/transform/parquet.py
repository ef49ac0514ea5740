"""The step `parquet`: the good rows of a day as a partition of the table of orders."""

import tempfile
from datetime import date
from pathlib import Path

import duckdb
from databucket import layout
from databucket.bucket import Bucket
from databucket.command import BadDataError

TYPES = {
    "order_id": "VARCHAR",
    "line": "INTEGER",
    "ordered_at": "TIMESTAMPTZ",
    "customer_id": "VARCHAR",
    "country": "VARCHAR",
    "sku": "VARCHAR",
    "category": "VARCHAR",
    "quantity": "INTEGER",
    "unit_price_eur": "DECIMAL(12, 2)",
}


def to_parquet(bucket: Bucket, day: date) -> str:
    """Write the day's partition, in place of one that is there.

    Raises:
        BadDataError: A value is not of its column's type: the rows were not validated.
    """
    key = layout.orders_partition(day)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "orders.csv"), Path(folder, "orders.parquet")
        source.write_bytes(bucket.read(layout.valid_orders(day)))
        rows = _convert(source, target)
        bucket.write(key, target.read_bytes())
    return f"wrote {rows} rows of {day} to {key}"


def _convert(source: Path, target: Path) -> int:
    with duckdb.connect() as database:
        try:
            database.execute("SET TimeZone = 'UTC'")
            database.read_csv(str(source), header=True, columns=TYPES, auto_detect=False).create_view("orders")
            database.execute(
                f"""
                COPY (
                    SELECT *, CAST(quantity * unit_price_eur AS DECIMAL(12, 2)) AS amount_eur
                    FROM orders ORDER BY order_id, line
                ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
                """  # noqa: S608 - our own temporary folder
            )
            counted = database.execute("SELECT count(*) FROM read_parquet(?)", [str(target)]).fetchone()
        except duckdb.Error as error:
            raise BadDataError(f"the valid rows do not fit the table: {error}") from None
    return int(counted[0]) if counted else 0
