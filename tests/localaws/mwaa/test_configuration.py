from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.mwaa.configuration import Place, Secrets, options, tasks_at_once, variables

PLACE = Place(Path("/home/of/it"), Path("/installed"), 8080)
SECRETS = Secrets("fernet", "jwt", "session")


def of(
    configured: Mapping[str, str] | None = None,
    *,
    machine: Mapping[str, str] | None = None,
    startup: Mapping[str, str] | None = None,
    **members: Any,
) -> dict[str, str]:
    environment = {"Name": "dev", "AirflowVersion": "3.3.1", "AirflowConfigurationOptions": configured or {}, **members}
    return variables(
        environment,
        PLACE,
        SECRETS,
        machine=machine or {},
        aws={"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-west-1"},
        startup=startup or {},
    )


def test_the_environments_options_win_over_what_is_suggested() -> None:
    assert of()["AIRFLOW__CORE__PARALLELISM"] == "5"
    assert of({"core.parallelism": "2"})["AIRFLOW__CORE__PARALLELISM"] == "2"


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("core.dags_folder", "AIRFLOW__CORE__DAGS_FOLDER"),
        ("core.executor", "AIRFLOW__CORE__EXECUTOR"),
        ("core.load_examples", "AIRFLOW__CORE__LOAD_EXAMPLES"),
        ("database.sql_alchemy_conn", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
        ("api.base_url", "AIRFLOW__API__BASE_URL"),
    ],
)
def test_what_mwaa_forces_wins_over_the_environments_options(option: str, variable: str) -> None:
    assert of({option: "something else"})[variable] == of()[variable]


def test_options_win_over_the_startup_script() -> None:
    found = of({"core.default_timezone": "utc"}, startup={"AIRFLOW__CORE__DEFAULT_TIMEZONE": "local", "MINE": "1"})
    assert (found["AIRFLOW__CORE__DEFAULT_TIMEZONE"], found["MINE"]) == ("utc", "1")


def test_a_startup_script_cannot_point_airflow_elsewhere() -> None:
    found = of(startup={"AIRFLOW_HOME": "/elsewhere", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "https://aws"})
    assert found["AIRFLOW_HOME"] == "/home/of/it"
    assert found["AWS_REGION"] == "eu-west-1"
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_nothing_of_this_machines_airflow_or_aws_reaches_the_environment() -> None:
    machine = {
        "AIRFLOW__CORE__FERNET_KEY": "other",
        "AIRFLOW_CONN_X": "y",
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "t",
        "PYTHONPATH": "/mine",
        "PATH": "/usr/bin",
        "HOME": "/root",
    }
    found = of(machine=machine)
    assert found["AIRFLOW__CORE__FERNET_KEY"] == "fernet"
    assert {"AIRFLOW_CONN_X", "AWS_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH"}.isdisjoint(found)
    assert found["PATH"] == "/installed/bin:/usr/bin"
    assert found["HOME"] == "/root"


def test_options_with_dotted_sections_become_variables() -> None:
    assert options({"logging.remote.x": "1"}) == {"AIRFLOW__LOGGING_REMOTE__X": "1"}


@pytest.mark.parametrize(("kind", "tasks"), [("mw1.micro", 3), ("mw1.small", 5), ("mw1.2xlarge", 16), ("new", 5)])
def test_as_many_tasks_run_at_once_as_the_class_and_a_laptop_allow(kind: str, tasks: int) -> None:
    assert tasks_at_once({"EnvironmentClass": kind}) == tasks
