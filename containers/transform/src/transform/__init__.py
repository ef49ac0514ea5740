"""Turns the raw orders of a day into a partition of the Parquet table, and keeps what is wrong apart."""
