import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from databucket.bucket import Bucket
from databucket.command import day, run

from transform.parquet import to_parquet
from transform.validate import validate

TOLERATED = 0.1  # exports of the shop have a few bad rows on most days; a tenth means something broke


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="transform", description="Check the raw orders of a day; write them as Parquet.")
    steps = made.add_subparsers(dest="step", required=True, metavar="STEP")
    first = steps.add_parser("validate", help="part good rows from bad ones")
    first.add_argument("--tolerate", type=share, default=TOLERATED, help="share of bad rows allowed (%(default)s)")
    second = steps.add_parser("parquet", help="write the good rows as a partition of the table of orders")
    for step in (first, second):
        step.add_argument("--day", type=day, required=True, help="the day to work on, YYYY-MM-DD")
    return made


def share(text: str) -> float:
    """An argument that is a share, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is no share; expected a number from 0 to 1")
    return value


def transform(arguments: Namespace, bucket: Bucket) -> str:
    if arguments.step == "validate":
        return validate(bucket, arguments.day, arguments.tolerate)
    return to_parquet(bucket, arguments.day)


if __name__ == "__main__":
    sys.exit(run(parser(), transform))
