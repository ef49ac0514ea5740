"""How a container's command runs: arguments in, plain lines out, and an exit code that Airflow can judge.

exit code   meaning
0           done
1           the data is bad or missing: trying again with the same data will not help
2           wrong usage: an argument or DATA_BUCKET is wrong; nothing was attempted
other       something unforeseen, with Python's traceback in the log
"""

import logging
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from datetime import date

from databucket.bucket import Bucket, NoSuchObjectError, S3Bucket

DONE = 0
BAD_DATA = 1
WRONG_USAGE = 2

log = logging.getLogger(__name__)


class BadDataError(Exception):
    """The data cannot be worked on; the message says which and why."""


def day(text: str) -> date:
    """An argument that is a day, `2026-01-02`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day; expected YYYY-MM-DD") from None


def run(
    parser: ArgumentParser,
    act: Callable[[Namespace, Bucket], str],
    arguments: Sequence[str] | None = None,
    bucket: Bucket | None = None,
) -> int:
    """Parse the arguments, do the work, and return the exit code.

    Args:
        parser: Knows the arguments; it ends the process with code 2 when they are wrong.
        act: Does the work and returns the sentence that says what was done.
        arguments: The command line's by default.
        bucket: The one that DATA_BUCKET names by default.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it would tell where it found its credentials
    parsed = parser.parse_args(arguments)
    if bucket is None:
        name = os.environ.get("DATA_BUCKET", "")
        if not name:
            log.error("DATA_BUCKET is not set: it names the bucket to work in")
            return WRONG_USAGE
        bucket = S3Bucket(name)
    try:
        log.info("%s", act(parsed, bucket))
    except (BadDataError, NoSuchObjectError) as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence; a traceback would hide it
        return BAD_DATA
    return DONE
