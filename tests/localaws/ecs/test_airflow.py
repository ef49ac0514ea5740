"""A whole Airflow, with scheduler and triggerer, runs the DAG helper's tasks on a real engine."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from time import monotonic, sleep
from typing import Any

import pytest

from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure
from tests.localaws.conftest import free_port
from tests.localaws.ecs.test_operator import release_file
from tests.localaws.ecs.world import World, shell

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[3]

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


@dataclass
class Airflow:
    """A running Airflow, by its REST API."""

    url: str
    token: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None
        )
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - likewise
            return json.loads(answer.read() or "null")

    def states(self, run: str) -> dict[str, str]:
        found = self.call("GET", f"/api/v2/dags/judge/dagRuns/{run}/taskInstances")
        return {each["task_id"]: each["state"] for each in found["task_instances"]}

    def log(self, run: str, task: str) -> str:
        found = self.call("GET", f"/api/v2/dags/judge/dagRuns/{run}/taskInstances/{task}/logs/1?full_content=true")
        return json.dumps(found["content"])


def until(what: Callable[[], Any], seconds: float) -> Any:
    end = monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except (urllib.error.URLError, ConnectionError, KeyError) as error:
            found = error
        assert monotonic() < end, found
        sleep(0.5)


@pytest.fixture
def airflow(world: World, image: str, tmp_path: Path) -> Iterator[Airflow]:
    environment: AirflowEnvironment = ensure(ROOT, "3.3.1")
    dags = tmp_path / "dags"
    copytree(ROOT / "dags", dags, ignore=lambda _, names: [name for name in names if name.startswith("orders")])
    (dags / "judge.py").write_text(DAG)
    definition = world.register(shell("exit 99", image))
    (dags / "_release.json").write_text(json.dumps(release_file(world, definition)))
    # As on MWAA: plugins are elsewhere, and nobody's PYTHONPATH knows the DAG folder.
    (dags / "plugins").rename(tmp_path / "plugins")
    port = free_port()
    variables = {
        **environment.variables(dags, "eu-west-1"),
        **world.region.environment(),
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
        "PATH": f"{environment.folder / 'bin'}:{os.environ['PATH']}",
    }
    with (tmp_path / "airflow.log").open("wb") as output:
        process = subprocess.Popen(
            [str(environment.folder / "bin" / "airflow"), "standalone"],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        found = Airflow(f"http://127.0.0.1:{port}")
        found.token = until(lambda: found.call("GET", "/auth/token")["access_token"], 90)
        until(lambda: "judge" in {each["dag_id"] for each in found.call("GET", "/api/v2/dags")["dags"]}, 90)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_tasks_run_fail_and_are_killed_as_the_helper_promises(airflow: Airflow, world: World) -> None:
    run = airflow.call("POST", "/api/v2/dags/judge/dagRuns", {"logical_date": None})["dag_run_id"]
    until(lambda: airflow.states(run).get("killed") == "deferred", 90)

    def running() -> list[str]:
        arns: list[str] = world.ecs.list_tasks(cluster=world.cluster)["taskArns"]
        tagged = [world.task(arn) for arn in arns]
        return [
            task["taskArn"]
            for task in tagged
            if {"key": "airflow-task", "value": "killed"} in task["tags"] and task["lastStatus"] == "RUNNING"
        ]

    (arn,) = until(running, 60)
    until(lambda: "ready" in world.log(arn), 30)
    # Airflow itself forgets a task that is killed in the second between its deferral and the triggerer's next look.
    killed = f"/api/v2/dags/judge/dagRuns/{run}/taskInstances/killed"
    until(lambda: airflow.call("GET", killed)["triggerer_job"], 30)
    sleep(2)
    airflow.call("PATCH", killed, {"new_state": "failed"})
    task = world.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task killed in Airflow")
    assert task["containers"][0]["exitCode"] == 3
    until(lambda: airflow.states(run) == {"succeeds": "success", "fails": "failed", "killed": "failed"}, 90)
    until(lambda: re.search(r"\] hello from succeeds at data", airflow.log(run, "succeeds")), 30)
    log = airflow.log(run, "fails")
    assert "the container main ended with exit code 42: Essential container in task exited" in log
    assert "The end of its log:" in log
    assert "the cause" in log
