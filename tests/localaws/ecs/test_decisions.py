"""The pure half: sizes, sources of secrets, plans, and what is remembered."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.ecs.launch import LaunchError, plan
from pipeline.localaws.ecs.records import KEPT, TaskRecords
from pipeline.localaws.ecs.secrets import SecretSource, SourceError, parse
from pipeline.localaws.ecs.sizes import Size, SizeError, size


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        ("256", "512", Size(256, 512)),
        ("256", "2048", Size(256, 2048)),
        (".25 vCPU", "1 GB", Size(256, 1024)),
        ("0.5 vcpu", "4GB", Size(512, 4096)),
        ("1024", "8192", Size(1024, 8192)),
        ("4096", "30720", Size(4096, 30720)),
        ("8192", "61440", Size(8192, 61440)),
        ("16 vCPU", "120 GB", Size(16384, 122880)),
    ],
)
def test_a_size_that_fargate_sells(cpu: str, memory: str, expected: Size) -> None:
    assert size(cpu, memory) == expected


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [("256", "4096"), ("512", "512"), ("300", "512"), ("8192", "17000"), (None, "512"), ("256", None), ("a", "512")],
)
def test_a_size_that_fargate_does_not_sell(cpu: str | None, memory: str | None) -> None:
    with pytest.raises(SizeError):
        size(cpu, memory)


ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:etl/x-AbCdEf"
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/etl/word"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etl/word", SecretSource("ssm", "/etl/word")),
        ("word", SecretSource("ssm", "word")),
        (PARAMETER, SecretSource("ssm", PARAMETER)),
        (ARN, SecretSource("secretsmanager", ARN)),
        (f"{ARN}:user::", SecretSource("secretsmanager", ARN, "user", "", "")),
        (f"{ARN}:user:AWSPREVIOUS:", SecretSource("secretsmanager", ARN, "user", "AWSPREVIOUS", "")),
        (f"{ARN}:::v1", SecretSource("secretsmanager", ARN, "", "", "v1")),
    ],
)
def test_where_a_secret_is(text: str, expected: SecretSource) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", [f"{ARN}:user", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:eu-west-1:1:secret"])
def test_a_text_that_names_no_secret(text: str) -> None:
    with pytest.raises(SourceError):
        parse(text)


def definition(*containers: dict[str, Any], **task: Any) -> dict[str, Any]:
    complete = [{"name": "main", "image": "x", **container} for container in containers or ({},)]
    return {"cpu": "512", "memory": "1024", "containerDefinitions": complete, **task}


def test_a_container_has_the_tasks_memory_unless_it_has_its_own() -> None:
    launched = plan(definition({"memory": 200}, {"name": "other"}), {}, "id").containers
    assert [container.memory_mib for container in launched] == [200, 1024]


def test_overrides_win_over_the_definition_and_leave_the_rest() -> None:
    overrides = {
        "cpu": "1024",
        "memory": "4096",
        "taskRoleArn": "role of the run",
        "containerOverrides": [{"name": "main", "command": ["b"], "environment": [{"name": "B", "value": "2"}]}],
    }
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
    containers: list[dict[str, Any]] = [
        {"command": ["a"], "environment": variables},
        {"name": "other", "command": ["c"]},
    ]
    launched = plan(definition(*containers, taskRoleArn="role"), overrides, "id")
    main, other = launched.containers
    assert (launched.size, launched.role) == (Size(1024, 4096), "role of the run")
    assert (main.command, main.environment) == (("b",), {"A": "1", "B": "2"})
    assert (other.command, other.environment, other.memory_mib) == (("c",), {}, 4096)


@pytest.mark.parametrize(
    ("container", "overrides", "names"),
    [
        ({"memory": 2048}, {}, "memory 2048 is more than the task's 1024"),
        ({"stopTimeout": 121}, {}, "stopTimeout 121"),
        ({"privileged": True}, {}, "privileged"),
        ({"dependsOn": [{"containerName": "x", "condition": "START"}]}, {}, "dependsOn"),
        ({}, {"inferenceAcceleratorOverrides": [{"deviceName": "x"}]}, "inferenceAcceleratorOverrides"),
        ({}, {"containerOverrides": [{"name": "main", "environmentFiles": [{"type": "s3"}]}]}, "environmentFiles"),
        ({"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "x"}}}, {}, "awslogs-region"),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-multiline-pattern": "x"}}},
            {},
            "awslogs-multiline-pattern",
        ),
    ],
)
def test_what_cannot_be_run_is_named(container: dict[str, Any], overrides: dict[str, Any], names: str) -> None:
    with pytest.raises(LaunchError, match=names):
        plan(definition(container), overrides, "id")


def test_empty_settings_ask_for_nothing() -> None:
    launched = plan(definition({"healthCheck": {}, "mountPoints": [], "privileged": False}), {}, "id")
    assert len(launched.containers) == 1


def document(number: int, status: str = "STOPPED") -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:eu-west-1:1:task/etl/{number:04}",
        "createdAt": datetime(2026, 1, 1, tzinfo=UTC).replace(microsecond=number),
        "lastStatus": status,
        "desiredStatus": "RUNNING",
        "version": 3,
        "containers": [{"name": "main", "lastStatus": "RUNNING"}],
    }


def test_tasks_are_remembered_over_a_restart_with_their_times(tmp_path: Path) -> None:
    records = TaskRecords(tmp_path)
    records.load()
    records.put(document(1))
    again = TaskRecords(tmp_path)
    assert again.load() == []
    assert again.get("0001") == document(1)


def test_a_task_nobody_saw_end_has_ended_after_a_restart(tmp_path: Path) -> None:
    records = TaskRecords(tmp_path)
    records.load()
    records.put(document(1, "RUNNING"))
    (ended,) = TaskRecords(tmp_path).load()
    assert (ended["lastStatus"], ended["desiredStatus"], ended["version"]) == ("STOPPED", "STOPPED", 4)
    assert ended["containers"][0]["lastStatus"] == "STOPPED"
    assert json.loads((tmp_path / "0001.json").read_text())["stopCode"] == "TerminationNotice"


def test_a_version_that_comes_late_does_not_undo_a_later_one(tmp_path: Path) -> None:
    records = TaskRecords(tmp_path)
    records.load()
    records.put({**document(1), "version": 6})
    records.put({**document(1, "RUNNING"), "version": 5})
    found = records.get("0001")
    assert found
    assert found["lastStatus"] == "STOPPED"
    assert '"version": 6' in (tmp_path / "0001.json").read_text()


def test_only_so_many_stopped_tasks_are_kept_and_every_running_one(tmp_path: Path) -> None:
    records = TaskRecords(tmp_path)
    records.load()
    records.put(document(0, "RUNNING"))
    for number in range(1, KEPT + 3):
        records.put(document(number))
    assert records.get("0000")
    assert records.get("0002") is None
    assert records.get("0003")
    assert len(list(tmp_path.iterdir())) == KEPT + 1
