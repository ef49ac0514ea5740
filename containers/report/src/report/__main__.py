import sys
from argparse import ArgumentParser, Namespace

from databucket.bucket import Bucket
from databucket.command import day, run

from report.publish import publish
from report.sales import sales


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="report", description="Sum up the table of orders.")
    steps = made.add_subparsers(dest="step", required=True, metavar="STEP")
    daily = steps.add_parser("publish", help="one day in figures")
    daily.add_argument("--day", type=day, required=True, help="the day to publish, YYYY-MM-DD")
    steps.add_parser("sales", help="all days together, by day, country and category")
    return made


def report(arguments: Namespace, bucket: Bucket) -> str:
    return publish(bucket, arguments.day) if arguments.step == "publish" else sales(bucket)


if __name__ == "__main__":
    sys.exit(run(parser(), report))
