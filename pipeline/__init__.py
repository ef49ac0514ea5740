"""Ship Airflow DAGs and the containers they run, on AWS and on a laptop."""
