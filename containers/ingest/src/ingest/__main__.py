import sys
from argparse import ArgumentParser, Namespace

from databucket import layout
from databucket.bucket import Bucket
from databucket.command import day, run

from ingest.shop import orders


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="ingest", description="Land the shop's orders of a day in the data bucket.")
    made.add_argument("--day", type=day, required=True, help="the day whose orders to land, YYYY-MM-DD")
    return made


def ingest(arguments: Namespace, bucket: Bucket) -> str:
    """Write the day's export under the day's key."""
    export = orders(arguments.day)
    key = layout.raw_orders(arguments.day)
    bucket.write(key, export)
    return f"landed {len(export.splitlines()) - 1} rows of {arguments.day} in {key}"


if __name__ == "__main__":
    sys.exit(run(parser(), ingest))
