"""The step `validate`: good rows here, bad rows there, each with the reason."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from databucket import layout
from databucket.bucket import Bucket
from databucket.command import BadDataError

from transform.rules import COLUMNS, Row, Verdict, judge


def validate(bucket: Bucket, day: date, tolerated: float) -> str:
    """Check the raw orders of a day.

    What was found is written before it is judged: whoever looks into a failed day finds the rejected rows.

    Args:
        bucket: Holds the raw orders and takes the results.
        day: The day.
        tolerated: The share of bad rows, 0 to 1, up to which the day is still good.

    Raises:
        BadDataError: No CSV with the agreed columns, no rows at all, or more bad rows than tolerated.
    """
    key = layout.raw_orders(day)
    verdicts = judge(_rows(bucket.read(key), key), day)
    good = [verdict.row for verdict in verdicts if not verdict.wrong]
    bad = [verdict for verdict in verdicts if verdict.wrong]
    bucket.write(layout.valid_orders(day), _csv(COLUMNS, good))
    bucket.write(layout.rejected_orders(day), _csv(("row", "wrong", *COLUMNS), map(_rejected, bad)))
    quality = {"day": str(day), "rows": len(verdicts), "valid": len(good), "rejected": len(bad)}
    bucket.write(layout.quality(day), json.dumps(quality).encode())
    if not good:
        raise BadDataError(f"{key} has no good row ({len(bad)} bad ones)")
    share = len(bad) / len(verdicts)
    if share > tolerated:
        raise BadDataError(
            f"{len(bad)} of {len(verdicts)} rows of {key} are bad ({share:.0%}, tolerated are {tolerated:.0%}); "
            f"see {layout.rejected_orders(day)}; the first: row {bad[0].number}: {bad[0].wrong}"
        )
    return f"{len(good)} of {len(verdicts)} rows of {day} are good; {len(bad)} rejected"


def _rows(content: bytes, key: str) -> list[Row]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8")))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{key} is no CSV in UTF-8: {error}") from None
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadDataError(f"{key} has the columns {reader.fieldnames}; expected {list(COLUMNS)}")
    return rows


def _rejected(verdict: Verdict) -> Mapping[str, object]:
    return {"row": verdict.number, "wrong": verdict.wrong, **verdict.row}


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    text = io.StringIO(newline="")
    # A row with too many values has them under None: they are shown nowhere, the reason is.
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
