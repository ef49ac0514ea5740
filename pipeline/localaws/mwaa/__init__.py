"""MWAA: environments as their API describes them. No Airflow runs behind them yet."""
