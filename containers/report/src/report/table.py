"""The table of orders, opened from the data bucket for SQL."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
from databucket.bucket import Bucket


@contextmanager
def orders(bucket: Bucket, keys: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database whose view `orders` holds the partitions of these keys, with their `day` as a column."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        for key in keys:
            path = Path(folder, key)
            path.parent.mkdir(parents=True)
            path.write_bytes(bucket.read(key))
        partitions = [str(Path(folder, key)) for key in keys]
        database.read_parquet(partitions, hive_partitioning=True).create_view("orders")
        yield database


def records(database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    """The rows of a query by column name; days and amounts as text, so that JSON keeps every cent."""
    result = database.execute(query)
    columns = [column[0] for column in result.description or ()]
    return [
        {name: value if isinstance(value, int) else str(value) for name, value in zip(columns, row, strict=True)}
        for row in result.fetchall()
    ]
