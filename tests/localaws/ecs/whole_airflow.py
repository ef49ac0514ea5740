"""A whole Airflow for tests, with API server, scheduler, triggerer and DAG processor: `airflow standalone`."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from pipeline.dagtest.airflow_environment import ensure
from tests.localaws.conftest import free_port

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 240


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
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - likewise
            return json.loads(answer.read() or "null")

    def dags(self) -> set[str]:
        return {each["dag_id"] for each in self.call("GET", "/api/v2/dags")["dags"]}

    def start(self, dag: str, **conf: Any) -> str:
        """Unpause a DAG and trigger a run of it."""
        self.unpause(dag)
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def unpause(self, dag: str) -> None:
        self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def runs(self, dag: str) -> dict[str, str]:
        """Run → its state."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns")["dag_runs"]
        return {each["dag_run_id"]: each["state"] for each in found}

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Task → its state."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")
        return {each["task_id"]: each["state"] for each in found["task_instances"]}

    def log(self, dag: str, run: str, task: str, map_index: int = -1) -> str:
        """The log of a task's first try."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/1"
        return json.dumps(self.call("GET", f"{path}?full_content=true&map_index={map_index}")["content"])


def until(what: Callable[[], Any], seconds: float) -> Any:
    """What a question is answered with, as soon as that is true."""
    end = monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except (OSError, KeyError) as error:  # a busy machine answers late, a starting one not at all
            found = error
        assert monotonic() < end, found
        sleep(0.5)


@contextmanager
def whole_airflow(folder: Path, dags: Path, variables: Mapping[str, str], wanted: str) -> Iterator[Airflow]:
    """Start an Airflow that keeps its files in a folder, and wait until it knows a DAG.

    As on MWAA plugins are elsewhere than DAGs, and nobody's PYTHONPATH knows the DAG folder.
    """
    environment = ensure(ROOT, "3.3.1")
    (dags / "plugins").rename(folder / "plugins")
    port = free_port()
    settings = {
        **environment.variables(dags, "eu-west-1"),
        **variables,
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
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
    with (folder / "airflow.log").open("wb") as output:
        process = subprocess.Popen(
            [str(environment.folder / "bin" / "airflow"), "standalone"],
            env={**os.environ, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        found = Airflow(f"http://127.0.0.1:{port}")
        found.token = until(lambda: found.call("GET", "/auth/token")["access_token"], START_SECONDS)
        until(lambda: wanted in found.dags(), START_SECONDS)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
