"""Lands the shop's orders of a day, as they came, in the data bucket."""
