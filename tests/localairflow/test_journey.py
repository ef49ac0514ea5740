"""A developer's hour with the local Airflow, on a real one."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from click.testing import CliRunner

from pipeline.errors import PipelineError
from pipeline.localairflow import commands, runs
from pipeline.localairflow.working_tree import WorkingTree
from pipeline.localaws.instance import PROCESS, Address
from pipeline.localaws.machine.processes import ProcessRecord, started_at
from pipeline.localaws.mwaa.service import Mwaa
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localairflow.test_working_tree import settings
from tests.localaws.conftest import free_port
from tests.localaws.mwaa.world import INSTALLATIONS, until

pytestmark = pytest.mark.airflow

DAG = """
import os

from airflow.sdk import DAG, task

PLACE = os.environ["AIRFLOW__RELEASE__ENVIRONMENT"]  # as dags/fargate.py reads it

with DAG("edited", schedule=None, params={"fail": False}):

    @task
    def say(params):
        print("version ONE in", PLACE)
        if params["fail"]:
            raise ValueError("as you wish")

    say()
"""


@dataclass
class Project:
    folder: Path
    region: LocalRegion
    tree: WorkingTree

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run `pipeline local airflow …` in the project's folder."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(commands.airflow, arguments)
        finally:
            os.chdir(before)
        if isinstance(result.exception, PipelineError):
            return 1, str(result.exception)
        return result.exit_code, result.output


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    configured = settings("edited")
    (folder / "cdk.json").write_text(f'{{"context": {{"pipeline": {configured.model_dump_json()}}}}}')
    (folder / "dags").mkdir()
    (folder / "dags" / "edited.py").write_text(DAG)
    port = free_port()
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder / ".local")
    (region.folder / "processes").mkdir(parents=True)
    server = Server(LocalAws(region, [Mwaa(region, INSTALLATIONS, dict(os.environ))]), port)
    server.start()
    _announce(region)
    tree = WorkingTree(region, configured, folder, lambda _: None)
    try:
        tree.up()
        yield Project(folder, region, tree)
    finally:
        server.stop()


def _announce(region: LocalRegion) -> None:
    """Let the commands take this process for the server of the local AWS."""
    record = ProcessRecord(PROCESS, os.getpid(), started_at(os.getpid()) or "", "", "")
    (region.folder / "processes" / f"{PROCESS}.process.json").write_text(json.dumps(asdict(record)))
    address = Address(region.endpoint, region.region, "", "")
    (region.folder / "address.json").write_text(json.dumps(asdict(address)))


def test_a_run_is_followed_and_its_words_are_in_the_log(project: Project) -> None:
    code, output = project.command("run", "edited")
    assert (code, "success" in output) == (0, True), output
    until(lambda: "version ONE in dev" in project.command("logs", "tasks")[1], "the task's words", 15)


def test_an_edit_is_in_airflow_within_seconds(project: Project) -> None:
    began = monotonic()
    (project.folder / "dags" / "edited.py").write_text(DAG.replace("ONE", "TWO"))
    assert project.tree.look()
    environment = project.tree.environment
    until(lambda: "TWO" in environment.rest("GET", "/dagSources/edited")["content"], "the edit", 30)
    assert monotonic() - began < 15


def test_a_failed_run_ends_with_its_reason_and_exit_code_1(project: Project) -> None:
    code, output = project.command("run", "edited", "--conf", '{"fail": true}')
    assert code == 1
    assert re.search(r"failed +say", output)
    assert "ValueError: as you wish" in output


def test_a_dag_that_cannot_be_imported_is_shown_with_its_error(project: Project) -> None:
    (project.folder / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nDAG('broken', schedule=nothing)\n")
    project.tree.look()
    until(lambda: project.tree.environment.rest("GET", "/importErrors")["import_errors"], "the error", 60)
    code, output = project.command("run", "broken")
    assert code == 1
    assert "NameError: name 'nothing' is not defined" in output
    (project.folder / "dags" / "broken.py").unlink()
    project.tree.look()


def test_the_address_and_a_link_that_signs_in_are_told(project: Project) -> None:
    code, output = project.command("open", "--no-browser")
    assert (code, output.count("http://127.0.0.1:")) == (0, 1)
    assert "/aws_mwaa/aws-console-sso?login=true#ey" in project.tree.environment.sign_in_url()


def test_a_database_that_is_reset_knows_no_runs(project: Project) -> None:
    environment = project.tree.environment
    before = environment.described()
    assert environment.rest("GET", "/dags/edited/dagRuns")["total_entries"] >= 2
    code, output = project.command("reset-db", "--yes")
    assert code == 0, output
    after = environment.described()
    assert after["AirflowConfigurationOptions"] == before["AirflowConfigurationOptions"]
    assert after["LoggingConfiguration"] == before["LoggingConfiguration"]
    body = runs.request(datetime.now(UTC), None, {})
    runs.start(environment, "edited", body)
    assert runs.follow(environment, "edited", body["dag_run_id"], lambda _: None)[0] == "success"
    assert environment.rest("GET", "/dags/edited/dagRuns")["total_entries"] == 1
