import json
from pathlib import Path

import duckdb
import pytest
from databucket.bucket import MemoryBucket
from databucket.command import BAD_DATA, DONE, run
from report.__main__ import parser, report

FIRST = """
    ('2026-01-02-0001', 'C1', 'NL', 'tea', 2, 8.40), ('2026-01-02-0001', 'C1', 'NL', 'coffee', 1, 11.90),
    ('2026-01-02-0002', 'C2', 'IE', 'tea', 1, 8.40)
"""
SECOND = "('2026-01-03-0001', 'C1', 'NL', 'tea', 3, 0.10)"


def partition(folder: Path, values: str) -> bytes:
    path = folder / "orders.parquet"
    with duckdb.connect() as database:
        database.execute(
            f"""
            COPY (
                SELECT *, CAST(quantity * unit_price_eur AS DECIMAL(12, 2)) AS amount_eur
                FROM (VALUES {values}) AS t(order_id, customer_id, country, category, quantity, unit_price_eur)
            ) TO '{path}' (FORMAT parquet)
            """  # noqa: S608 - the values above
        )
    return path.read_bytes()


@pytest.fixture
def bucket(tmp_path: Path) -> MemoryBucket:
    return MemoryBucket(
        {
            "tables/orders/day=2026-01-02/orders.parquet": partition(tmp_path, FIRST),
            "tables/orders/day=2026-01-03/orders.parquet": partition(tmp_path, SECOND),
            "quality/orders/2026-01-02.json": b'{"day": "2026-01-02", "rows": 4, "valid": 3, "rejected": 1}',
        }
    )


def test_a_day_is_published_in_figures(bucket):
    assert run(parser(), report, ["publish", "--day", "2026-01-02"], bucket) == DONE
    assert json.loads(bucket.objects["reports/daily/2026-01-02.json"]) == {
        "day": "2026-01-02",
        "orders": 2,
        "customers": 2,
        "articles": 4,
        "amount_eur": "37.10",
        "categories": [
            {"category": "coffee", "articles": 1, "amount_eur": "11.90"},
            {"category": "tea", "articles": 3, "amount_eur": "25.20"},
        ],
        "rejected_rows": 1,
    }


def test_a_day_that_is_not_in_the_table_is_bad_data(bucket, caplog):
    assert run(parser(), report, ["publish", "--day", "2026-01-04"], bucket) == BAD_DATA
    assert "quality/orders/2026-01-04.json" in caplog.text


def test_sales_sum_up_every_day_and_country(bucket, tmp_path):
    assert run(parser(), report, ["sales"], bucket) == DONE
    assert json.loads(bucket.objects["reports/sales.json"]) == {
        "days": [
            {"day": "2026-01-02", "orders": 2, "amount_eur": "37.10"},
            {"day": "2026-01-03", "orders": 1, "amount_eur": "0.30"},
        ],
        "countries": [
            {"country": "IE", "orders": 1, "amount_eur": "8.40"},
            {"country": "NL", "orders": 2, "amount_eur": "29.00"},
        ],
    }
    path = tmp_path / "sales.parquet"
    path.write_bytes(bucket.objects["reports/sales.parquet"])
    with duckdb.connect() as database:
        counted = database.execute("SELECT count(*), sum(amount_eur) FROM read_parquet(?)", [str(path)]).fetchone()
    assert [str(value) for value in counted] == ["4", "37.40"]  # IE tea, NL coffee, NL tea; NL tea


def test_sales_of_no_days_are_bad_data(caplog):
    assert run(parser(), report, ["sales"], MemoryBucket()) == BAD_DATA
    assert "run orders_daily first" in caplog.text
