"""The Amazon provider's own operator, as the DAG helper uses it, against tasks that really run."""

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure
from tests.localaws.ecs.conftest import Mortal
from tests.localaws.ecs.drive import drive as drive_operator
from tests.localaws.ecs.world import World, shell

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[3]
Drive = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def airflow() -> AirflowEnvironment:
    """The environment that `pipeline test dags` makes."""
    return ensure(ROOT, "3.3.1")


@pytest.fixture
def drive(world: World, image: str, airflow: AirflowEnvironment, tmp_path: Path) -> Drive:
    return driving(world, image, airflow, tmp_path)


def driving(world: World, image: str, airflow: AirflowEnvironment, folder: Path) -> Drive:
    """Run a shell script as a task of the DAG helper; what the driver reports."""

    def run(script: str, *, container: dict[str, Any] | None = None, **scenario: Any) -> dict[str, Any]:
        definition = world.register(shell("exit 99", **({"image": image} | (container or {}))))
        release = folder / "_release.json"
        release.write_text(json.dumps(release_file(world, {"main": definition})))
        complete = {"release": str(release), "command": [script], **scenario}
        return drive_operator(airflow, world.region, ROOT / "dags", folder, complete)

    return run


def release_file(world: World, definitions: Mapping[str, str]) -> dict[str, Any]:
    """As pipeline/release writes it."""
    return {
        "format": 1,
        "environment": "dev",
        "region": "eu-west-1",
        "cluster": world.cluster,
        "subnets": [world.subnet],
        "security_groups": [],
        "data_bucket": "data" if "main" in definitions else world.data,
        "containers": {
            name: {
                "task_definition": definition,
                "container": name,
                "log_group": world.log_group,
                "log_stream_prefix": "tests",
            }
            for name, definition in definitions.items()
        },
    }


MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "on a worker"])
WAITING = "trap 'exit 3' TERM; echo ready; while true; do sleep 0.1; done"


@MODES
def test_a_task_that_succeeds_succeeds_and_its_output_is_in_airflows_log(drive: Drive, deferrable: bool) -> None:
    report = drive("echo hello from $DATA_BUCKET", arguments={"deferrable": deferrable})
    assert report["error"] is None
    assert report["deferred"] is deferrable
    if deferrable:
        assert report["trigger"] == "fargate_trigger.ContainerDone"
        assert "] hello from data" in report["log"], report["log"]
        assert report["result"] == "hello from data"


@MODES
def test_the_providers_operator_works_unmodified(drive: Drive, deferrable: bool) -> None:
    report = drive("echo hello", plain=True, arguments={"deferrable": deferrable})
    assert report["error"] is None
    assert report["deferred"] is deferrable
    if deferrable:
        assert report["trigger"] == "airflow.providers.amazon.aws.triggers.ecs.TaskDoneTrigger"
        assert report["result"] == "hello"
    failed = drive("echo why; exit 4", plain=True, arguments={"deferrable": deferrable})
    assert "This task is not in success state" in failed["error"]


@MODES
def test_a_task_that_fails_says_with_which_code_and_the_end_of_its_log(drive: Drive, deferrable: bool) -> None:
    script = "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; sleep 0.5; echo the cause >&2; exit 42"
    error = drive(script, arguments={"deferrable": deferrable})["error"]
    first, second, *lines = error.splitlines()
    assert first.startswith("AirflowException: the container main ended with exit code 42: Essential container in task")
    assert second == "The end of its log:"
    assert sorted(lines) == sorted([f"line {number}" for number in range(31, 50)] + ["the cause"])


def test_a_container_out_of_memory_says_so(drive: Drive) -> None:
    error = drive("a=x; while true; do a=$a$a; done", container={"memory": 20})["error"]
    assert "exit code 137: OutOfMemoryError: Container killed due to memory usage" in error


@MODES
def test_an_image_that_cannot_be_pulled_fails_the_task_with_that_reason(drive: Drive, deferrable: bool) -> None:
    missing = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl/nobody:1"
    error = drive("true", container={"image": missing}, arguments={"deferrable": deferrable})["error"]
    assert error.startswith("EcsTaskFailToStart: The task failed to start due to: CannotPullContainerError")
    assert missing in error


@MODES
def test_an_engine_that_ends_during_a_task_fails_it_with_that_reason(
    mortal: Mortal, airflow: AirflowEnvironment, tmp_path: Path, deferrable: bool
) -> None:
    def kill_when_it_runs() -> None:
        while not (tasks := mortal.world.ecs.list_tasks(cluster=mortal.world.cluster)["taskArns"]):
            sleep(0.1)
        mortal.world.running(tasks[0])
        mortal.kill_engine()

    killing = Thread(target=kill_when_it_runs, daemon=True)
    killing.start()
    report = driving(mortal.world, mortal.image, airflow, tmp_path)(WAITING, arguments={"deferrable": deferrable})
    killing.join(timeout=10)
    assert "the Docker engine does not answer any more" in report["error"]


def test_killing_a_deferred_task_stops_its_container(world: World, drive: Drive) -> None:
    report = drive(WAITING, kill_after=2)
    arn = report["xcom"]["ecs_task_arn"]
    task = world.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task killed in Airflow")
    assert task["containers"][0]["exitCode"] == 3
    assert task["tags"][0]["key"] == "airflow-dag"


def test_a_task_waits_for_its_execution_timeout_and_then_stops_its_container(world: World, drive: Drive) -> None:
    report = drive(WAITING, trigger_fails="Trigger timeout")
    assert report["error"] == "TaskDeferralTimeout: Trigger timeout"
    task = world.ended(report["xcom"]["ecs_task_arn"])
    assert task["stoppedReason"].startswith("Over its execution_timeout")


def test_a_failed_trigger_leaves_the_container_to_the_next_try_which_finds_it(world: World, drive: Drive) -> None:
    run = f"run {uuid.uuid4()}"
    script = "sleep 15; echo over"
    first = drive(script, run=run, trigger_fails="Trigger failure")
    arn = first["xcom"]["ecs_task_arn"]
    assert first["error"].startswith("TaskDeferralError")
    assert world.task(arn)["desiredStatus"] == "RUNNING"
    second = drive(script, run=run, **{"try": 2})
    assert second["xcom"]["ecs_task_arn"] == arn
    assert second["error"] is None
    assert second["result"] == "over"


def test_when_no_try_is_left_a_failed_trigger_stops_the_container(world: World, drive: Drive) -> None:
    report = drive(WAITING, trigger_fails="Trigger failure", **{"try": 2})
    assert report["error"].startswith("TaskDeferralError")
    assert world.ended(report["xcom"]["ecs_task_arn"])["stoppedReason"] == "Airflow waits for it no more"
