"""The example of a pod on EKS, in a project that asks for it: it parses, and here it says that nothing can run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure
from pipeline.localaws.eks.service import Eks
from tests.localaws.conftest import Serve
from tests.localaws.ecs.drive import drive

ROOT = Path(__file__).resolve().parents[3]
PROVIDER = "apache-airflow-providers-cncf-kubernetes\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project that does what the example's first lines say."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "cdk.json", folder)
    shutil.copytree(ROOT / "dags", folder / "dags")
    shutil.copytree(ROOT / "containers", folder / "containers")
    with (folder / "dags/requirements.txt").open("a") as requirements:
        requirements.write(PROVIDER)
    ignored = folder / "dags/.airflowignore"
    ignored.write_text(ignored.read_text().replace("examples/eks_pod.py\n", ""))
    return folder


@pytest.fixture(scope="module")
def airflow(project: Path) -> AirflowEnvironment:
    """Its Airflow, with the provider: its first import compiles Kubernetes' client, which the budget is not about."""
    environment = ensure(project, "3.3.1")
    variables = {**os.environ, **environment.variables(project / "dags", "eu-west-1")}
    first = [str(environment.python), "-c", "import airflow.providers.amazon.aws.operators.eks"]
    subprocess.run(first, env=variables, check=True, capture_output=True)
    return environment


@pytest.mark.usefixtures("airflow")
def test_the_example_passes_the_tests_of_dags_once_its_provider_is_asked_for(project: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pipeline")), "test", "dags"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 files, 5 DAGs" in done.stdout


def test_here_the_task_fails_and_says_that_there_is_no_kubernetes(
    project: Path, airflow: AirflowEnvironment, serve: Serve, tmp_path: Path
) -> None:
    region = serve(lambda region: [Eks(region)])
    rendered = {"cluster_name": "analytics", "image": "busybox"}
    path = str(project / "dags/examples/eks_pod.py")
    scenario = {"dag_file": path, "task": "sales", "rendered": rendered}
    report = drive(airflow, region, project / "dags", tmp_path, scenario)
    assert not report["deferred"]
    assert "No cluster found for name: analytics. The local AWS runs no Kubernetes" in report["error"]


def test_a_cluster_is_not_pretended(serve: Serve) -> None:
    eks = serve(lambda region: [Eks(region)]).client("eks")
    with pytest.raises(ClientError, match="it runs no Kubernetes"):
        eks.create_cluster(name="x", roleArn="arn:aws:iam::1:role/x-role-of-it", resourcesVpcConfig={})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_cluster(name="x")
    assert eks.list_clusters()["clusters"] == []
    with pytest.raises(ClientError, match="does not implement eks:ListNodegroups"):
        eks.list_nodegroups(clusterName="x")
