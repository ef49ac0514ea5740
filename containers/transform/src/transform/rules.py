"""What makes a row of the export good. Pure: rows in, verdicts out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

COLUMNS = (
    "order_id",
    "line",
    "ordered_at",
    "customer_id",
    "country",
    "sku",
    "category",
    "quantity",
    "unit_price_eur",
)
COUNTRIES = frozenset({"DE", "FR", "IE", "NL", "PL", "SE"})  # where the shop delivers

Row = Mapping[str, str]


@dataclass(frozen=True)
class Verdict:
    """A row, its number in the file (the header is 1), and what is wrong with it; "" when it is good."""

    number: int
    row: Row
    wrong: str = ""


def judge(rows: Iterable[Row], day: date) -> list[Verdict]:
    """A verdict for every row, in their order. Of rows that are there twice the first is good."""
    seen: set[tuple[str, str]] = set()
    verdicts = []
    for number, row in enumerate(rows, start=2):
        wrong = fault(row, day)
        key = (row.get("order_id") or "", row.get("line") or "")
        if not wrong and key in seen:
            wrong = "the row is there twice"
        seen.add(key)
        verdicts.append(Verdict(number, row, wrong))
    return verdicts


def fault(row: Row, day: date) -> str:
    """What is wrong with a row, "" if nothing.

    value             good when
    any               it is there
    ordered_at        a time with its zone, on the day
    country           the shop delivers there
    line, quantity    a whole number, at least 1
    unit_price_eur    an amount above 0 with at most 2 decimals
    """
    for column in COLUMNS:
        if not row.get(column):
            return f"{column} is missing"
    if not _is_on(row["ordered_at"], day):
        return f"ordered_at {row['ordered_at']!r} is no time on {day}"
    if row["country"] not in COUNTRIES:
        return f"country {row['country']!r} is not one we deliver to"
    for column in ("line", "quantity"):
        if not (row[column].isascii() and row[column].isdigit() and int(row[column]) >= 1):
            return f"{column} {row[column]!r} is no whole number of at least 1"
    if not _is_price(row["unit_price_eur"]):
        return f"unit_price_eur {row['unit_price_eur']!r} is no amount above 0"
    return ""


def _is_on(text: str, day: date) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.date() == day


def _is_price(text: str) -> bool:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount > 0 and amount == amount.quantize(Decimal("0.01"))
