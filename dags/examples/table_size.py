"""The script of the Glue job in glue_job.py: how many partitions and bytes a table in S3 has."""

import argparse
import json

import boto3


def main() -> None:
    """Count, and write a report."""
    parser = argparse.ArgumentParser()
    for name in ("--bucket", "--prefix", "--report"):
        parser.add_argument(name, required=True)
    given, _ = parser.parse_known_args()  # Glue adds arguments of its own
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=given.bucket, Prefix=given.prefix)
    sizes = {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}
    if not sizes:
        raise ValueError(f"there is nothing below s3://{given.bucket}/{given.prefix}")
    report = {"partitions": len(sizes), "bytes": sum(sizes.values())}
    s3.put_object(Bucket=given.bucket, Key=given.report, Body=json.dumps(report).encode())
    print(f"{report['partitions']} partitions, {report['bytes']} bytes")  # noqa: T201 - the job's log


if __name__ == "__main__":
    main()
