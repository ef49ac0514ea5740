"""Sums up the table of orders."""
