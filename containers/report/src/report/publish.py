"""The step `publish`: one day in figures."""

import json
from datetime import date

from databucket import layout
from databucket.bucket import Bucket

from report.table import orders, records

TOTAL = """
    SELECT count(DISTINCT order_id) AS orders, count(DISTINCT customer_id) AS customers,
           CAST(sum(quantity) AS BIGINT) AS articles, sum(amount_eur) AS amount_eur
    FROM orders
"""
BY_CATEGORY = """
    SELECT category, CAST(sum(quantity) AS BIGINT) AS articles, sum(amount_eur) AS amount_eur
    FROM orders GROUP BY category ORDER BY category
"""


def publish(bucket: Bucket, day: date) -> str:
    """Write the report of a day, with how good its data was."""
    quality = json.loads(bucket.read(layout.quality(day)))
    with orders(bucket, [layout.orders_partition(day)]) as database:
        total = records(database, TOTAL)[0]
        categories = records(database, BY_CATEGORY)
    report = {"day": str(day), **total, "categories": categories, "rejected_rows": quality["rejected"]}
    key = layout.daily_report(day)
    bucket.write(key, json.dumps(report, indent=2).encode())
    return f"{day}: {total['orders']} orders, {total['amount_eur']} EUR; published as {key}"
