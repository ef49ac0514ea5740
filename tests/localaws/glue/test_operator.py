"""The example DAG's Glue job, by the Amazon provider's own operator, against the local AWS."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.dagtest.airflow_environment import ensure
from tests.localaws.ecs.drive import drive as drive_operator
from tests.localaws.glue.test_job_runs import World, world

__all__ = ["world"]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dags(world: World, tmp_path: Path) -> Path:
    """The DAG folder with the release of an environment whose data bucket is the world's."""
    folder = tmp_path / "dags"
    shutil.copytree(ROOT / "dags", folder)
    release = {
        "format": 1,
        "environment": f"dev-{tmp_path.name}",
        "region": "eu-west-1",
        "cluster": "etl-dev",
        "subnets": [],
        "security_groups": [],
        "data_bucket": world.bucket,
        "containers": {},
    }
    (folder / "_release.json").write_text(json.dumps(release))
    return folder


def drive(world: World, dags: Path, **rendered: Any) -> dict[str, Any]:
    attributes = {"iam_role_arn": world.role, "waiter_delay": 1} | rendered
    scenario = {"dag_file": str(dags / "examples/glue_job.py"), "task": "table_size", "rendered": attributes}
    return drive_operator(ensure(ROOT, "3.3.1"), world.region, dags, dags.parent, scenario)


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "on a worker"])
def test_the_example_measures_the_table_and_its_output_is_in_airflows_log(
    world: World,
    dags: Path,
    deferrable: bool,
) -> None:
    for day in ("2026-01-02", "2026-01-03"):
        world.s3.put_object(Bucket=world.bucket, Key=f"tables/orders/day={day}/orders.parquet", Body=b"x" * 50)
    report = drive(world, dags, deferrable=deferrable)
    assert report["error"] is None, report["log"]
    assert report["deferred"] is deferrable
    assert "2 partitions, 100 bytes" in report["log"]
    written = world.s3.get_object(Bucket=world.bucket, Key="reports/table_size.json")["Body"].read()
    assert json.loads(written) == {"partitions": 2, "bytes": 100}


def test_a_job_that_fails_fails_the_task_and_its_traceback_is_in_airflows_log(world: World, dags: Path) -> None:
    arguments = {"--bucket": world.bucket, "--prefix": "nothing/", "--report": "r"}
    report = drive(world, dags, script_args=arguments)
    assert "FAILED" in report["error"]
    assert "ValueError: there is nothing below" in report["log"]


def test_a_spark_job_is_refused_by_name(world: World, dags: Path) -> None:
    report = drive(world, dags, create_job_kwargs={"Command": {"Name": "glueetl", "ScriptLocation": "s3://x/y.py"}})
    assert "it has no Spark or Ray for 'glueetl'" in report["error"]
