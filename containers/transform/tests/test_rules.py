from datetime import date

import pytest
from transform.rules import fault, judge

DAY = date(2026, 1, 2)
GOOD = {
    "order_id": "2026-01-02-0001",
    "line": "1",
    "ordered_at": "2026-01-02T06:14:58Z",
    "customer_id": "C00002",
    "country": "NL",
    "sku": "TEA-SENCHA-100",
    "category": "tea",
    "quantity": "2",
    "unit_price_eur": "8.40",
}


def test_a_good_row_has_no_fault():
    assert fault(GOOD, DAY) == ""


@pytest.mark.parametrize(
    ("column", "value", "wrong"),
    [
        ("sku", "", "sku is missing"),
        ("customer_id", None, "customer_id is missing"),
        ("ordered_at", "2026-01-01T23:59:59Z", "ordered_at '2026-01-01T23:59:59Z' is no time on 2026-01-02"),
        ("ordered_at", "2026-01-02T06:14:58", "ordered_at '2026-01-02T06:14:58' is no time on 2026-01-02"),
        ("ordered_at", "noon", "ordered_at 'noon' is no time on 2026-01-02"),
        ("country", "??", "country '??' is not one we deliver to"),
        ("line", "x", "line 'x' is no whole number of at least 1"),
        ("quantity", "0", "quantity '0' is no whole number of at least 1"),
        ("quantity", "-1", "quantity '-1' is no whole number of at least 1"),
        ("quantity", "1.5", "quantity '1.5' is no whole number of at least 1"),
        ("unit_price_eur", "n/a", "unit_price_eur 'n/a' is no amount above 0"),
        ("unit_price_eur", "NaN", "unit_price_eur 'NaN' is no amount above 0"),
        ("unit_price_eur", "0", "unit_price_eur '0' is no amount above 0"),
        ("unit_price_eur", "1.234", "unit_price_eur '1.234' is no amount above 0"),
    ],
)
def test_a_fault_is_named_with_its_value(column, value, wrong):
    assert fault(GOOD | {column: value}, DAY) == wrong


def test_of_a_row_that_is_there_twice_the_first_is_good():
    verdicts = judge([GOOD, GOOD, GOOD | {"line": "2"}], DAY)
    assert [(verdict.number, verdict.wrong) for verdict in verdicts] == [
        (2, ""),
        (3, "the row is there twice"),
        (4, ""),
    ]
