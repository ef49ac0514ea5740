"""MWAA: each environment is a real Airflow of the version it asks for, in processes of its own."""
