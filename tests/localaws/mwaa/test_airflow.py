"""One environment with a real Airflow behind it, and what people do with it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import boto3
import pytest
from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.machine.processes import mark_of, process_ids
from pipeline.release.airflow import AirflowAnswerError, MwaaAirflow
from pipeline.release.verify import Expectation, Patience, observe, verify
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
    with urlopen(f"http://{world.environment()['WebserverUrl']}/") as page:
        assert b"Airflow" in page.read()


def test_a_task_talks_to_the_local_aws_and_its_log_is_in_cloudwatch(world: World) -> None:
    assert world.run("greet") == "success"
    until(lambda: "Hello to dags-of-shared from" in world.log("Task", "dag_id=greet"), "the task's log", 15)
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


def test_requirements_that_cannot_be_installed_are_logged_and_the_environment_is_available(world: World) -> None:
    version = world.put("requirements.txt", "boto3==1.0.0\n")
    after = world.update(RequirementsS3Path="requirements.txt", RequirementsS3ObjectVersion=version)
    assert after["Status"] == "AVAILABLE"
    assert after["LastUpdate"]["Status"] == "SUCCESS"
    assert after["RequirementsS3ObjectVersion"] == version
    for group in ("Scheduler", "Worker", "WebServer"):
        log = world.log(group, "requirements_install")
        assert "boto3==1.0.0" in log
        assert "were not installed" in log


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
    until(lambda: ", if you please" in world.log("Task", "dag_id=polite"), "the task's log", 15)
    assert "from startup" in world.log("Task", "dag_id=polite")
    assert not [dag for dag in world.dags() if dag.startswith("example")], "MWAA forces load_examples"
    assert "preparing" in world.log("Worker", "startup_script_execution")


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
    mark = _marks(Path(world.region.folder))
    scheduler = next(pid for pid in process_ids() if mark_of(pid) == mark and "scheduler" in _command(pid))
    os.kill(scheduler, signal.SIGKILL)
    until(lambda: world.environment()["Status"] == "UNAVAILABLE", "the death is noticed", 30)
    until(lambda: world.environment()["Status"] == "AVAILABLE", "Airflow is back")
    assert world.run("greet") == "success"


def _marks(folder: Path) -> str:
    [record] = folder.glob("mwaa/*/processes/*.json")
    return record.stem


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
