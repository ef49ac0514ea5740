"""One environment with a real Airflow behind it, and what people do with it."""

import json
import os
import re
import signal
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.machine.processes import process_ids, started_at
from pipeline.localaws.mwaa.sessions import title_of
from pipeline.process import CommandError, run
from pipeline.release import pip_log
from pipeline.release.airflow import AirflowAnswerError, MwaaAirflow
from pipeline.release.verdict import Expectation
from pipeline.release.verify import Patience, observe, verify
from tests.localaws.mwaa.world import DAG, World, archive, until

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World.start(tmp_path_factory.mktemp("mwaa") / "local", "shared")
    world.make_bucket()
    world.put("dags/words.py", 'GREETING = "Hello"\n')
    world.put("dags/greet.py", DAG)
    world.create()
    try:
        assert world.environment()["Status"] == "CREATING"
        assert world.settled()["Status"] == "AVAILABLE"
        yield world
    finally:
        world.server.stop()


@pytest.fixture
def session(world: World, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session as the release step has it."""
    for name, value in world.region.environment().items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def test_an_available_environment_is_a_healthy_airflow(world: World) -> None:
    health = world.rest("GET", "/monitor/health")
    assert {part["status"] for part in health.values()} == {"healthy"}
    assert world.rest("GET", "/version")["version"] == "3.3.1"
    assert b"Airflow" in urllib3.request("GET", f"http://{world.environment()['WebserverUrl']}/").data


def test_a_task_talks_to_the_local_aws_and_its_log_is_in_cloudwatch(world: World) -> None:
    assert world.run("greet") == "success"
    greeted = r"Hello to .*\bdags-of-shared\b.* from"  # it names every bucket of this process's region
    until(lambda: re.search(greeted, world.log("Task", "dag_id=greet")), "the task's log")
    assert "Starting the scheduler" in world.log("Scheduler")
    assert "greet.py" in world.log("DAGProcessing")
    assert "Uvicorn" in world.log("WebServer")


def test_the_release_step_sees_an_edit_of_a_helper_and_a_file_that_goes(world: World, session: boto3.Session) -> None:
    airflow = MwaaAirflow(session, world.name)
    world.put("dags/shortlived.py", DAG.replace('"greet"', '"shortlived"'))
    world.put("dags/other.py", DAG.replace('"greet"', '"other"'))
    until(lambda: {"shortlived", "other"} <= set(world.dags()), "the new DAGs")
    before = observe(airflow)
    assert before.dags["greet"].file == "greet.py"
    edited = DAG.replace("print(GREETING", "print('Well,', GREETING")
    world.put("dags/greet.py", edited)
    world.put("dags/words.py", 'GREETING = "Good day"\n')
    world.delete("dags/shortlived.py")
    expected = Expectation({"greet.py": edited}, frozenset({"other.py"}), frozenset({"shortlived.py"}))
    patience = Patience(copied=15, settled=20, deadline=90, poll=1)
    verify(airflow, expected, before, alive=lambda: None, tell=lambda _: None, patience=patience)


def test_the_release_step_sees_a_dag_that_cannot_be_imported(world: World, session: boto3.Session) -> None:
    airflow = MwaaAirflow(session, world.name)
    before = observe(airflow)
    broken = DAG.replace('"greet"', '"broken"').replace("from words", "from no_such_words")
    world.put("dags/broken.py", broken)
    patience = Patience(copied=8, settled=10, deadline=90, poll=1)
    with pytest.raises(PipelineError, match=r"(?s)broken\.py has an import error.*no_such_words"):
        verify(
            airflow,
            Expectation({"broken.py": broken}),
            before,
            alive=lambda: None,
            tell=lambda _: None,
            patience=patience,
        )
    world.delete("dags/broken.py")
    until(lambda: not observe(airflow).errors, "the error goes with its file")


def test_an_answer_that_is_an_error_carries_its_status(world: World, session: boto3.Session) -> None:
    with pytest.raises(AirflowAnswerError, match="nowhere") as raised:
        MwaaAirflow(session, world.name).get("/dags/nowhere")
    assert raised.value.status == 404
    with pytest.raises(ClientError) as refused:
        world.rest("POST", "/dags/greet/dagRuns", {"logical_date": "never"})
    assert refused.value.response["Error"]["Code"] == "RestApiClientException"


def test_the_aws_cli_asks_airflow_and_describes_the_environment(world: World) -> None:
    def aws(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("aws")), "mwaa", *arguments, "--name", world.name]
        return json.loads(run(command, env=world.region.environment()))

    answer = aws("invoke-rest-api", "--method", "GET", "--path", "/dags", "--query-parameters", '{"limit": 1}')
    assert answer["RestApiStatusCode"] == 200
    assert len(answer["RestApiResponse"]["dags"]) == 1
    described = aws("get-environment")["Environment"]
    assert (described["Status"], described["AirflowVersion"]) == ("AVAILABLE", "3.3.1")
    assert "WebToken" in aws("create-web-login-token")
    with pytest.raises(CommandError, match="RestApiClientException"):
        aws("invoke-rest-api", "--method", "GET", "--path", "/dags/nowhere")


def test_the_tokens_of_mwaa_sign_a_browser_in_and_run_commands(world: World) -> None:
    mwaa = world.region.client("mwaa")
    web, cli = mwaa.create_web_login_token(Name=world.name), mwaa.create_cli_token(Name=world.name)
    web_server = f"http://{web['WebServerHostname']}/aws_mwaa"
    login = urllib3.request("POST", f"{web_server}/login", body=f"token={web['WebToken']}")
    assert login.headers["Set-Cookie"].startswith("_token=")
    bearer = {"Authorization": f"Bearer {cli['CliToken']}"}
    command = urllib3.request("POST", f"{web_server}/cli", body="variables set colour blue", headers=bearer, timeout=60)
    assert b"created" in b64decode(command.json()["stdout"])
    assert world.rest("GET", "/variables/colour")["value"] == "blue"
    assert urllib3.request("POST", f"{web_server}/login", body="token=forged").status == 401
    forged = {"Authorization": "Bearer forged"}
    assert urllib3.request("POST", f"{web_server}/cli", body="version", headers=forged).status == 403
    assert urllib3.request("POST", f"{web_server}/cli", body="db reset", headers=bearer).status == 403


def test_requirements_that_cannot_be_installed_are_logged_and_the_environment_is_available(world: World) -> None:
    version = world.put("requirements.txt", "boto3==1.0.0\n")
    after = world.update(RequirementsS3Path="requirements.txt", RequirementsS3ObjectVersion=version)
    assert after["Status"] == "AVAILABLE"
    assert after["LastUpdate"]["Status"] == "SUCCESS"
    assert after["RequirementsS3ObjectVersion"] == version
    for group in ("Scheduler", "Worker", "WebServer"):
        log = world.log(group, "requirements_install")
        assert "boto3==1.0.0" in log
        assert "ERROR: pip installation exited with a non-zero error code" in log
        assert any("boto3" in problem for problem in pip_log.problems(log.splitlines())), "the release step reads it"


def test_plugins_startup_script_and_options_take_effect_with_an_update(world: World) -> None:
    plugins = world.put("plugins.zip", archive({"politeness.py": 'SUFFIX = ", if you please"\n'}))
    script = world.put("startup.sh", "export GREETER=startup AIRFLOW_HOME=/nowhere\necho preparing\n")
    asks = DAG.replace('"greet"', '"polite"').replace("print(", "import politeness\n        print(politeness.SUFFIX, ")
    world.put("dags/polite.py", asks)
    after = world.update(
        PluginsS3Path="plugins.zip",
        PluginsS3ObjectVersion=plugins,
        StartupScriptS3Path="startup.sh",
        StartupScriptS3ObjectVersion=script,
        AirflowConfigurationOptions={"core.default_timezone": "Europe/Zurich", "core.load_examples": "True"},
        WorkerReplacementStrategy="GRACEFUL",
    )
    assert (after["Status"], after["LastUpdate"]["WorkerReplacementStrategy"]) == ("AVAILABLE", "GRACEFUL")
    assert world.run("polite") == "success"
    until(lambda: ", if you please" in world.log("Task", "dag_id=polite"), "the task's log")
    assert "from startup" in world.log("Task", "dag_id=polite")
    assert not [dag for dag in world.dags() if dag.startswith("example")], "MWAA forces load_examples"
    assert "preparing" in world.log("Worker", "startup_script_execution")


SLOW = """
from airflow.sdk import DAG, task

with DAG("slow", schedule=None):

    @task
    def wait():
        import time

        print("waiting")
        time.sleep(20)
        print("done waiting")

    wait()
"""


@pytest.mark.parametrize(("replacement", "state"), [("GRACEFUL", "success"), ("FORCED", "failed")])
def test_a_running_task_ends_before_its_worker_is_replaced_unless_that_is_forced(
    world: World, replacement: str, state: str
) -> None:
    world.put("dags/slow.py", SLOW)
    run = world.begin("slow")
    until(lambda: world.task_states("slow", run) == ["running"], "the task runs")
    after = world.update(
        AirflowConfigurationOptions={"core.default_timezone": "utc", "core.test_of": replacement},
        WorkerReplacementStrategy=replacement,
    )
    assert after["Status"] == "AVAILABLE"
    until(lambda: world.task_states("slow", run) == [state], "the task's end is known", 150)


def test_an_update_that_fails_restores_the_former_state(world: World) -> None:
    before = world.environment()
    runs = world.rest("GET", "/dags/~/dagRuns")["total_entries"]
    script = world.put("startup.sh", "echo giving up\nexit 3\n")
    after = world.update(StartupScriptS3Path="startup.sh", StartupScriptS3ObjectVersion=script)
    assert after["Status"] == "UPDATE_FAILED"
    assert after["LastUpdate"]["Status"] == "FAILED"
    assert "startup script" in after["LastUpdate"]["Error"]["ErrorMessage"]
    assert after.get("StartupScriptS3ObjectVersion") == before.get("StartupScriptS3ObjectVersion")
    assert "giving up" in world.log("Scheduler", "startup_script_execution")
    assert world.rest("GET", "/dags/~/dagRuns")["total_entries"] == runs


def test_an_airflow_that_is_killed_comes_back_by_itself(world: World) -> None:
    world.put("startup.sh", "true\n")
    leaders = _leaders(world.region.folder)
    scheduler = next(pid for pid in leaders if "airflow scheduler" in title_of(pid))
    workers = [pid for pid in process_ids() if "LocalExecutor" in title_of(pid) and os.getsid(pid) == scheduler]
    assert workers
    os.kill(scheduler, signal.SIGKILL)
    until(lambda: world.environment()["Status"] == "UNAVAILABLE", "the death is noticed", 30)
    until(lambda: world.environment()["Status"] == "AVAILABLE", "Airflow is back")
    assert world.run("greet") == "success"
    assert not [pid for pid in workers if started_at(pid)], "workers without a scheduler are ended"


def _leaders(folder: Path) -> list[int]:
    [record] = folder.glob("mwaa/*/processes/sessions.json")
    return [int(pid) for pid in json.loads(record.read_text())]
