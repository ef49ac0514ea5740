"""What a commit's stacks change beyond DAGs: told before an approval changes it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.wrappers import Response

from pipeline.release.dossier import Dossier
from pipeline.release.dossier_headline import summary
from pipeline.release.dossier_page import page, text
from pipeline.release.dossier_sections import Section, sections
from pipeline.release.stacks import (
    AirflowSettings,
    Change,
    Compared,
    Stacks,
    TaskSettings,
    airflow_changes,
    task_changes,
)
from tests.release.conftest import Aws, Project, Sent
from tests.release.values import write

AIRFLOW = AirflowSettings("3.2.1", "mw1.small", 1, 2, {"core.parallelism": "32"})
TASK = TaskSettings("256", "512", environment={"LOG_LEVEL": "INFO"}, secrets={"PASSWORD": "arn:db"})


@pytest.mark.parametrize(
    ("after", "rows"),
    [
        ({}, []),
        ({"version": "3.3.1"}, [Change("Airflow version", "3.2.1", "3.3.1", replaces_workers=True)]),
        (
            {"environment_class": "mw1.large"},
            [Change("Airflow class", "mw1.small", "mw1.large", replaces_workers=True)],
        ),
        (
            {"min_workers": 2, "max_workers": 1},
            [Change("Airflow min_workers", "1", "2"), Change("Airflow max_workers", "2", "1")],
        ),
        (
            {"options": {"core.parallelism": "64", "core.new": "x"}},
            [
                Change("Airflow option core.new", "none", "x", replaces_workers=True),
                Change("Airflow option core.parallelism", "32", "64", replaces_workers=True),
            ],
        ),
        ({"options": {}}, [Change("Airflow option core.parallelism", "32", "none", replaces_workers=True)]),
    ],
)
def test_each_setting_of_airflow_that_differs_is_a_row(after: dict[str, Any], rows: list[Change]) -> None:
    assert list(airflow_changes(AIRFLOW, replace(AIRFLOW, **after))) == rows


@pytest.mark.parametrize(
    ("after", "rows"),
    [
        ({}, []),
        ({"cpu": "512", "memory": "1024"}, ["cpu of load: 256 → 512", "memory in MiB of load: 512 → 1024"]),
        ({"architecture": "ARM64"}, ["architecture of load: X86_64 → ARM64"]),
        (
            {"environment": {"LOG_LEVEL": "DEBUG", "NEW": "1"}},
            ["variable LOG_LEVEL of load: INFO → DEBUG", "variable NEW of load: none → 1"],
        ),
        ({"environment": {}}, ["variable LOG_LEVEL of load: INFO → none"]),
        ({"secrets": {"PASSWORD": "arn:other"}}, ["variable PASSWORD of load: secret arn:db → secret arn:other"]),
        ({"secrets": {}}, ["variable PASSWORD of load: secret arn:db → none"]),
    ],
)
def test_each_part_of_a_tasks_declaration_that_differs_is_a_row(after: dict[str, Any], rows: list[str]) -> None:
    found = task_changes({"load": TASK}, {"load": replace(TASK, **after)})
    assert [f"{row.what}: {row.before} → {row.after}" for row in found] == rows
    assert not any(row.replaces_workers for row in found)


def test_tasks_come_and_go_with_their_size() -> None:
    found = task_changes({"old": TASK}, {"new": TASK})
    whole = "cpu 256 with 512 MiB on X86_64"
    assert found == (Change("task new", "none", whole), Change("task old", whole, "none"))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (TaskSettings(environment={"PLAIN": "hunter2"}), TaskSettings(secrets={"PLAIN": "arn:db"}), "secret arn:db"),
        (TaskSettings(secrets={"PLAIN": "arn:db"}), TaskSettings(environment={"PLAIN": "hunter2"}), "not shown"),
        (TaskSettings(environment={"PGPASSWORD": "hunter2"}), TaskSettings(), "none"),
        (TaskSettings(), TaskSettings(environment={"API_KEY": "hunter2"}), "not shown"),
        (TaskSettings(environment={"API_KEY": "hunter1"}), TaskSettings(environment={"API_KEY": "hunter2"}), "another"),
        (TaskSettings(), TaskSettings(environment={"URL": "https://ann:hunter2@example.org"}), "not shown"),
    ],
)
def test_what_may_be_a_secrets_value_is_never_shown(before: TaskSettings, after: TaskSettings, shown: str) -> None:
    [row] = task_changes({"load": before}, {"load": after})
    assert shown in row.after
    assert "hunter" not in f"{row.before}{row.after}"


def test_options_that_hold_secrets_are_not_shown_either() -> None:
    for name in ("smtp.smtp_password", "webserver.secret_key", "database.sql_alchemy_conn", "celery.broker_url"):
        [row] = airflow_changes(replace(AIRFLOW, options={name: "a"}), replace(AIRFLOW, options={name: "b"}))
        assert (row.before, row.after) == ("not shown", "another value")


def test_a_long_value_is_cut_and_two_that_then_look_the_same_are_told_apart() -> None:
    [row] = task_changes(
        {"load": TaskSettings(environment={"A": "x" * 61})}, {"load": TaskSettings(environment={"A": "x" * 62})}
    )
    assert (row.before, row.after) == ("x" * 60 + "…", "another value")


def section(found: Dossier, title: str) -> Section:
    [one] = [each for each in sections(found) if each.title == title]
    return one


UPGRADE = Stacks(airflow=Compared(airflow_changes(AIRFLOW, replace(AIRFLOW, version="3.3.1", max_workers=9))))


def test_an_upgrade_warns_wherever_the_dossier_is_read_and_says_that_it_replaces_workers() -> None:
    found = Dossier("prod", "abcdef0123456789", images=(), stacks=UPGRADE)
    assert not found.is_empty
    assert found.replaces_workers is True
    assert section(found, "Stacks") == Section(
        "Stacks",
        "change 2 settings of Airflow (Airflow version: 3.2.1 → 3.3.1, Airflow max_workers: 2 → 9)",
        (
            "Airflow version: 3.2.1 → 3.3.1",
            "  for this MWAA replaces its workers (GRACEFUL: tasks in flight can end, for up to 12 h)",
            "Airflow max_workers: 2 → 9",
        ),
        warns=True,
    )
    assert section(found, "Workers") == Section(
        "Workers", "will be replaced, for what the stacks change of Airflow", warns=True
    )
    assert "stacks: change 2 settings of Airflow (Airflow version: 3.2.1 → 3.3.1, " in summary(found)
    assert "workers: will be replaced" in summary(found)
    assert "Airflow version: 3.2.1 → 3.3.1" in page(found)
    assert "no difference" not in "".join(text(found)) + page(found)
    document = found.document()
    assert document["replaces_workers"] is True
    assert document["stacks"]["airflow"]["changes"][0] == {
        "what": "Airflow version",
        "before": "3.2.1",
        "after": "3.3.1",
        "replaces_workers": True,
    }


def test_in_a_summary_long_rows_leave_room_for_what_else_warns() -> None:
    options = {f"core.option{number}": "x" * 60 for number in range(9)}
    many = Stacks(airflow=Compared(airflow_changes(AIRFLOW, replace(AIRFLOW, options=options))))
    found = Dossier("prod", "abcdef0123456789", stacks=many)
    assert " and 7 more)" in summary(found)
    assert "workers: will be replaced" in summary(found)


def test_more_workers_replace_none() -> None:
    more = Stacks(airflow=Compared(airflow_changes(AIRFLOW, replace(AIRFLOW, max_workers=9))))
    found = Dossier("prod", "abcdef0123456789", stacks=more)
    assert (found.is_empty, found.replaces_workers) == (False, False)
    assert not section(found, "Stacks").warns


def test_what_aws_does_not_tell_of_the_stacks_is_said_not_to_be_known() -> None:
    dark = Stacks(airflow=Compared(unknown="MWAA\nrefuses"), tasks=Compared(task_changes({"a": TASK}, {})))
    found = Dossier("prod", "abcdef0123456789", stacks=dark)
    assert section(found, "Stacks").state == (
        "change 1 setting of tasks (task a: cpu 256 with 512 MiB on X86_64 → none); of Airflow not known: MWAA refuses"
    )
    assert "whether Airflow's settings change is not known" in section(found, "Workers").state
    assert found.replaces_workers is None


def mwaa_says(aws: Aws, **environment: Any) -> None:
    """Let GetEnvironment answer, of which moto knows nothing, and refuse all else; without values that, too."""

    def answer(sent: Sent) -> Response | None:
        if sent.service != "airflow":
            return None
        if environment and sent.method == "GET":
            return Response(json.dumps({"Environment": environment}), content_type="application/json")
        return Response("{}", 403, {"x-amzn-ErrorType": "AccessDeniedException"}, content_type="application/json")

    aws.before = answer


def diff(project: Project, *arguments: str) -> str:
    # MWAA's model puts "api." before the host, which is an IP address here.
    variables = {"AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
    return project.run("diff", "dev", "--commit", "2222222222222", *arguments, **variables).stdout


def test_what_runs_is_compared_with_what_this_commit_declares(aws: Aws, project: Project) -> None:
    of_the_stack = {"name": "DATA_BUCKET", "value": f"{project.bucket}-data"}
    secret = {"name": "PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:etl/db"}
    project.definition = {"cpu": "256", "memory": "512"}
    project.container = {"environment": [{"name": "LOG_LEVEL", "value": "INFO"}, of_the_stack], "secrets": [secret]}
    project.deploy_tasks(2)
    declared = 'environment = { LOG_LEVEL = "INFO" }\nsecrets = { PASSWORD = "etl/db" }\n'
    ingest = project.folder / "containers/ingest"
    write(ingest, {"Dockerfile": "FROM scratch\n", "container.toml": declared})
    mwaa_says(aws, AirflowVersion="3.3.1", EnvironmentClass="mw1.small", MinWorkers=1, MaxWorkers=2)
    same = json.loads(diff(project, "--json"))
    assert same["stacks"] == {stack: {"changes": [], "unknown": None} for stack in ("airflow", "tasks")}

    write(ingest, {"container.toml": "cpu = 512\nmemory = 1024\n" + declared.replace("INFO", "DEBUG")})
    mwaa_says(aws, AirflowVersion="3.2.1", EnvironmentClass="mw1.2xlarge", MinWorkers=1, MaxWorkers=9)
    told = [" ".join(line.split()) for line in diff(project).splitlines()]
    rows = (
        "Airflow version: 3.2.1 → 3.3.1, Airflow class: mw1.2xlarge → mw1.small, Airflow max_workers: 9 → 2 and 3 more"
    )
    for line in (
        f"! Stacks change 3 settings of Airflow and 3 settings of tasks ({rows})",
        "Airflow version: 3.2.1 → 3.3.1",
        "Airflow class: mw1.2xlarge → mw1.small",
        "Airflow max_workers: 9 → 2",
        "cpu of ingest: 256 → 512",
        "memory in MiB of ingest: 512 → 1024",
        "variable LOG_LEVEL of ingest: INFO → DEBUG",
    ):
        assert line in told


def test_the_definition_that_runs_counts_not_one_that_is_only_deployed(aws: Aws, project: Project) -> None:
    mwaa_says(aws)
    write(project.folder / "containers/ingest", {"Dockerfile": "FROM scratch\n"})
    project.definition = {"cpu": "1024", "memory": "2048"}
    project.deploy_tasks(2)
    project.sync()
    project.definition = {"cpu": "256", "memory": "512"}
    project.deploy_tasks(3)
    document = json.loads(diff(project, "--json"))
    changes = {each["what"]: (each["before"], each["after"]) for each in document["stacks"]["tasks"]["changes"]}
    assert changes["cpu of ingest"] == ("1024", "256")
    assert "MWAA does not describe the environment" in document["stacks"]["airflow"]["unknown"]
