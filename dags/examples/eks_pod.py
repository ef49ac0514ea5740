"""Example: a task in a pod on EKS instead of Fargate. Ignored until you ask for it, since MWAA lacks its provider.

To use it: add `apache-airflow-providers-cncf-kubernetes` to dags/requirements.txt, take this file out of
.airflowignore, and see that there are

    where         what
    Airflow       the variables `eks_cluster` and `eks_image`: the cluster, and the image that the pod runs
    its role      eks:DescribeCluster for the cluster, and an access entry of the cluster for the role, with rights to
                  create, get, list and delete pods and to read their logs in the namespace
    the network   a way from Airflow's subnets to the cluster's API

The local AWS runs no Kubernetes: there the task fails, and says so. The pod's log is in Airflow's task log; killing the
task deletes the pod, also while it is deferred.
"""

from datetime import timedelta

from airflow.providers.amazon.aws.operators.eks import EksPodOperator
from airflow.sdk import DAG
from fargate import RELEASE
from pendulum import datetime

with DAG(
    dag_id="example_eks_pod",
    description="Example: a command in a pod on EKS",
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
    EksPodOperator(
        task_id="sales",
        cluster_name="{{ var.value.eks_cluster }}",
        namespace="default",
        pod_name="sales",
        image="{{ var.value.eks_image }}",
        arguments=["sales"],
        env_vars={"DATA_BUCKET": RELEASE.data_bucket, "AWS_REGION": RELEASE.region},
        region=RELEASE.region,
        aws_conn_id=None,
        get_logs=True,
        on_finish_action="delete_pod",
        deferrable=True,
    )
