"""What runs inside the Airflow environment: only the standard library and Airflow are there.

It is started as `python pipeline/dagtest/worker JOB.json` and prints a JSON line for each DAG file.
"""
