"""Glue: jobs are moto's, runs of Python shell jobs are real processes; Spark is refused by name."""
