"""A whole Airflow, with scheduler and triggerer, runs the DAG helper's tasks on a real engine."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.localaws.ecs.test_operator import release_file
from tests.localaws.ecs.whole_airflow import ROOT, Airflow, until, whole_airflow
from tests.localaws.ecs.world import World, shell

pytestmark = [pytest.mark.airflow, pytest.mark.docker]

DAG = """
from airflow.sdk import DAG
from fargate import fargate_task

def script(task_id, text, **arguments):
    return fargate_task("main", task_id=task_id, command=[text], waiter_delay=1, retries=0, **arguments)

with DAG(dag_id="judge", schedule=None):
    script("succeeds", "echo hello from {{ task.task_id }} at $DATA_BUCKET")
    script("fails", "echo the cause; exit 42")
    script("killed", "trap 'echo told to end; exit 3' TERM; echo ready; while true; do sleep 0.1; done")
"""


@pytest.fixture
def airflow(world: World, image: str, tmp_path: Path) -> Iterator[Airflow]:
    dags = tmp_path / "dags"
    copytree(ROOT / "dags", dags, ignore=lambda _, names: [name for name in names if name.startswith("orders")])
    (dags / "judge.py").write_text(DAG)
    definition = world.register(shell("exit 99", image))
    (dags / "_release.json").write_text(json.dumps(release_file(world, {"main": definition})))
    with whole_airflow(tmp_path, dags, world.region.environment(), "judge") as running:
        yield running


def test_tasks_run_fail_and_are_killed_as_the_helper_promises(airflow: Airflow, world: World) -> None:
    run = airflow.start("judge")
    until(lambda: airflow.states("judge", run).get("killed") == "deferred", 240)

    def running() -> list[str]:
        arns: list[str] = world.ecs.list_tasks(cluster=world.cluster)["taskArns"]
        tagged = [world.task(arn) for arn in arns]
        return [
            task["taskArn"]
            for task in tagged
            if {"key": "airflow-task", "value": "killed"} in task["tags"] and task["lastStatus"] == "RUNNING"
        ]

    (arn,) = until(running, 240)
    until(lambda: "ready" in world.log(arn), 240)
    # Airflow itself forgets a task that is killed between its deferral and the triggerer's next look.
    until(lambda: re.search("trigger judge/[^ ]*/killed/[^ ]* .*starting", airflow.log("judge", run, "killed")), 240)
    airflow.call("PATCH", f"/api/v2/dags/judge/dagRuns/{run}/taskInstances/killed", {"new_state": "failed"})
    task = world.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task killed in Airflow")
    assert task["containers"][0]["exitCode"] == 3
    ended = {"succeeds": "success", "fails": "failed", "killed": "failed"}
    seen: list[dict[str, str]] = []

    def all_ended() -> bool:
        seen.append(airflow.states("judge", run))
        return seen[-1] == ended

    try:
        until(all_ended, 240)
    except AssertionError:
        assert seen[-1] == ended, "this is what Airflow says"
        raise
    until(lambda: re.search(r"\] hello from succeeds at data", airflow.log("judge", run, "succeeds")), 240)
    log = airflow.log("judge", run, "fails")
    assert "the container main ended with exit code 42: Essential container in task exited" in log
    assert "The end of its log:" in log
    assert "the cause" in log
