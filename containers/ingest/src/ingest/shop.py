"""The shop's export of orders. It stands for the interface of a real one: the image carries its data.

There are two weeks of orders. Any later day replays the day of those weeks with the same weekday, its dates moved, so
that the sample runs on every day, gives the same rows every time, and weekends still look like weekends.
"""

from datetime import date, timedelta
from pathlib import Path

from databucket.command import BadDataError

OPENED = date(2026, 1, 1)
DAYS = 14

# In the image, and in the repository, the data lies beside the code's folder or within it.
DATA = next(folder for folder in (parent / "data" for parent in Path(__file__).resolve().parents) if folder.is_dir())


def replayed(day: date) -> date:
    """The day of the data set whose orders are those of `day`.

    Raises:
        BadDataError: The shop was not open yet.
    """
    if day < OPENED:
        raise BadDataError(f"there are no orders of {day}: the shop opened on {OPENED}")
    return OPENED + timedelta(days=(day - OPENED).days % DAYS)


def orders(day: date, data: Path = DATA) -> bytes:
    """The export of a day: CSV, a row per order line."""
    source = replayed(day)
    return (data / f"{source}.csv").read_bytes().replace(str(source).encode(), str(day).encode())
