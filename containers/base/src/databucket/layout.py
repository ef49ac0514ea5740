"""Where everything lies in the data bucket: what one container writes and another reads.

key                                          written by           what
raw/orders/DAY.csv                           ingest               the shop's export, as it came
valid/orders/DAY.csv                         transform validate   its good rows
rejected/orders/DAY.csv                      transform validate   its bad rows, each with the reason
quality/orders/DAY.json                      transform validate   how many of each
tables/orders/day=DAY/orders.parquet         transform parquet    the table of orders, a partition per day
reports/daily/DAY.json                       report publish       one day in figures
reports/sales.json, reports/sales.parquet    report sales         all days together
"""

from datetime import date

TABLE_OF_ORDERS = "tables/orders/"
SALES_JSON = "reports/sales.json"
SALES_PARQUET = "reports/sales.parquet"


def raw_orders(day: date) -> str:
    return f"raw/orders/{day}.csv"


def valid_orders(day: date) -> str:
    return f"valid/orders/{day}.csv"


def rejected_orders(day: date) -> str:
    return f"rejected/orders/{day}.csv"


def quality(day: date) -> str:
    return f"quality/orders/{day}.json"


def orders_partition(day: date) -> str:
    return f"{TABLE_OF_ORDERS}day={day}/orders.parquet"


def daily_report(day: date) -> str:
    return f"reports/daily/{day}.json"
