from datetime import date

import pytest
from databucket.bucket import MemoryBucket
from databucket.command import BAD_DATA, DONE, run
from ingest.__main__ import ingest, parser
from ingest.shop import DATA, DAYS, OPENED, orders, replayed


@pytest.mark.parametrize(
    ("day", "source"),
    [
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 1, 14), date(2026, 1, 14)),
        (date(2026, 1, 15), date(2026, 1, 1)),
        (date(2026, 11, 30), date(2026, 1, 12)),
    ],
)
def test_a_later_day_replays_one_of_the_same_weekday(day, source):
    assert replayed(day) == source
    assert day.weekday() == source.weekday()


def test_every_day_of_the_data_set_is_in_the_image():
    assert len(list(DATA.glob("*.csv"))) == DAYS
    assert (DATA / f"{OPENED}.csv").is_file()


def test_the_orders_of_a_later_day_bear_that_day():
    moved = orders(date(2026, 11, 30)).decode()
    assert "2026-01-12" not in moved
    assert "2026-11-30-0001,1,2026-11-30T" in moved
    assert len(moved.splitlines()) == len(orders(date(2026, 1, 12)).splitlines())


def test_a_day_is_landed_under_its_key_and_again_without_a_second_object():
    bucket = MemoryBucket()
    assert run(parser(), ingest, ["--day", "2026-01-02"], bucket) == DONE
    once = dict(bucket.objects)
    assert run(parser(), ingest, ["--day", "2026-01-02"], bucket) == DONE
    assert bucket.objects == once
    assert list(once) == ["raw/orders/2026-01-02.csv"]
    assert once["raw/orders/2026-01-02.csv"] == (DATA / "2026-01-02.csv").read_bytes()


def test_a_day_before_the_shop_opened_is_bad_data_and_writes_nothing():
    bucket = MemoryBucket()
    assert run(parser(), ingest, ["--day", "2025-12-31"], bucket) == BAD_DATA
    assert not bucket.objects
