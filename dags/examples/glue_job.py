"""Example: a task on AWS Glue instead of Fargate, a Python shell job that measures the table of orders.

By hand only. What it needs beside this file:

    where         what
    Airflow       the variable `glue_role_arn`: the role of the job, which reads and writes the data bucket
    its role      glue:CreateJob, UpdateJob, GetJob, StartJobRun, GetJobRun; iam:PassRole for the job's role;
                  s3:PutObject below artifacts/glue-scripts/ in the data bucket, where the script is uploaded;
                  logs:GetLogEvents for /aws-glue/python-jobs

The local AWS runs Python shell jobs for real, with its own Python: of Glue's libraries it has boto3 only. Spark jobs
(`glueetl`) it refuses. Killing the task while it is deferred does not stop the job: the provider's trigger cannot.
"""

from datetime import timedelta
from pathlib import Path

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from airflow.sdk import DAG
from fargate import RELEASE
from pendulum import datetime

SCRIPT = Path(__file__).with_name("table_size.py")
REPORT = "reports/table_size.json"

with DAG(
    dag_id="example_glue_job",
    description="Example: measure the table of orders with a Glue job",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={
        "owner": "shop-data",
        "retries": 1,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["example"],
) as dag:
    GlueJobOperator(
        task_id="table_size",
        job_name=f"{RELEASE.environment}-table-size",
        job_desc=SCRIPT.name,
        script_location=str(SCRIPT),
        s3_bucket=RELEASE.data_bucket,
        replace_script_file=True,
        update_config=True,
        iam_role_arn="{{ var.value.glue_role_arn }}",
        num_of_dpus=0.0625,
        create_job_kwargs={
            "Command": {
                "Name": "pythonshell",
                "PythonVersion": "3.9",
                "ScriptLocation": f"s3://{RELEASE.data_bucket}/artifacts/glue-scripts/{SCRIPT.name}",
            }
        },
        script_args={"--bucket": RELEASE.data_bucket, "--prefix": "tables/orders/", "--report": REPORT},
        region_name=RELEASE.region,
        aws_conn_id=None,
        deferrable=True,
        verbose=True,
        waiter_delay=10,
    )
