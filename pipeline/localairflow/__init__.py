"""Airflow as its developers use it here: an MWAA environment of the local AWS, with what AWS has no API for."""
