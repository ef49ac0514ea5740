"""The line that runs a task in a container: what reaches EcsRunTaskOperator."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import fargate_trigger
import pytest
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.providers.amazon.aws.triggers.ecs import TaskDoneTrigger
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TriggerEvent
from fargate import fargate_task, read_release

REVISION = "arn:aws:ecs:eu-west-1:123456789012:task-definition/etl-dev-transform:7"
RELEASE = {
    "format": 1,
    "environment": "dev",
    "region": "eu-west-1",
    "cluster": "etl-dev",
    "subnets": ["subnet-1", "subnet-2"],
    "security_groups": ["sg-1"],
    "data_bucket": "etl-dev-data",
    "containers": {
        "transform": {
            "task_definition": REVISION,
            "container": "transform",
            "log_group": "/etl/dev/tasks",
            "log_stream_prefix": "transform",
        }
    },
}


@pytest.fixture
def release(tmp_path):
    path = tmp_path / "_release.json"
    path.write_text(json.dumps(RELEASE))
    return read_release(path)


def test_a_task_runs_the_released_revision_where_the_release_says(release):
    task = fargate_task("transform", command=["parquet", "--day", "2026-01-02"], release=release)
    assert isinstance(task, EcsRunTaskOperator)
    assert task.task_id == "transform"
    assert task.task_definition == REVISION
    assert (task.cluster, task.region_name, task.launch_type) == ("etl-dev", "eu-west-1", "FARGATE")
    assert task.network_configuration == {
        "awsvpcConfiguration": {
            "subnets": ["subnet-1", "subnet-2"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "DISABLED",
        }
    }
    assert task.overrides == {
        "containerOverrides": [
            {
                "name": "transform",
                "command": ["parquet", "--day", "2026-01-02"],
                "environment": [{"name": "DATA_BUCKET", "value": "etl-dev-data"}],
            }
        ]
    }


def test_waiting_holds_no_worker_and_the_log_is_found_by_the_containers_name(release):
    task = fargate_task("transform", command=["parquet"], release=release)
    assert task.deferrable
    assert task.wait_for_completion
    assert task.reattach
    task.arn = "arn:aws:ecs:eu-west-1:123456789012:task/etl-dev/0a1b"
    assert (task.awslogs_group, task._get_logs_stream_name()) == ("/etl/dev/tasks", "transform/transform/0a1b")


@pytest.mark.parametrize(
    ("timeout", "waits"), [(timedelta(minutes=30), timedelta(minutes=30)), (None, timedelta(days=3))]
)
def test_it_waits_with_a_trigger_that_can_stop_the_container_and_no_longer_than_the_task_may(release, timeout, waits):
    task = fargate_task("transform", command=["parquet"], release=release, execution_timeout=timeout)
    provider = TaskDoneTrigger("etl-dev", "arn", 6, 100, None, "eu-west-1", "/etl/dev/tasks", "stream")
    with pytest.raises(TaskDeferred) as deferred:
        task.defer(trigger=provider, method_name="execute_complete", timeout=timedelta(days=3))
    path, arguments = deferred.value.trigger.serialize()
    assert path == "fargate_trigger.ContainerDone"
    assert arguments == provider.serialize()[1]
    assert deferred.value.timeout == waits


def test_it_never_comes_back_before_the_scheduler_has_heard_that_the_worker_let_go_of_the_task(monkeypatch):
    happened = []

    async def sleep(seconds):
        happened.append(f"waits {seconds:g} s")

    async def container_has_ended(_trigger):
        happened.append("looks")
        yield TriggerEvent({"status": "success"})

    async def all_events():
        trigger = fargate_trigger.ContainerDone("etl-dev", "arn", 6, 100, None, "eu-west-1")
        return [event.payload async for event in trigger.run()]

    monkeypatch.setattr(fargate_trigger.asyncio, "sleep", sleep)
    monkeypatch.setattr(TaskDoneTrigger, "run", container_has_ended)
    assert asyncio.run(all_events()) == [{"status": "success"}]
    assert happened == [f"waits {fargate_trigger.FIRST_LOOK_SECONDS:g} s", "looks"]
    assert fargate_trigger.FIRST_LOOK_SECONDS >= 5


def test_the_trigger_is_a_plugin_since_the_triggerer_does_not_know_the_dag_folder():
    assert Path(fargate_trigger.__file__).parent.name == "plugins"


def test_the_author_may_override_anything(release):
    task = fargate_task(
        "transform",
        task_id="again",
        command=["parquet"],
        environment={"LOG_LEVEL": "DEBUG"},
        release=release,
        deferrable=False,
        retries=5,
    )
    assert (task.task_id, task.deferrable, task.retries) == ("again", False, 5)
    assert {"name": "LOG_LEVEL", "value": "DEBUG"} in task.overrides["containerOverrides"][0]["environment"]


def test_a_container_that_is_not_in_the_release_is_named_with_those_that_are(release):
    with pytest.raises(ValueError, match=r"'transfrom'; its containers are: transform"):
        fargate_task("transfrom", command=["parquet"], release=release)


def test_a_command_that_is_a_string_is_refused_before_ecs_sees_it():
    with pytest.raises(TypeError, match=r"expected a list of arguments: \['parquet', '--day'\]"):
        fargate_task("transform", command="parquet --day")


def test_without_a_release_dags_parse_and_a_task_says_what_is_missing(tmp_path):
    release = read_release(tmp_path / "_release.json")
    task = fargate_task("transform", command=["parquet"], release=release)
    assert task.cluster == "no-release"
    assert task.task_definition == "no-release-transform:0"
    assert task.awslogs_group is None


def test_a_release_of_another_format_is_refused(tmp_path):
    path = tmp_path / "_release.json"
    path.write_text(json.dumps(RELEASE | {"format": 2}))
    with pytest.raises(ValueError, match="has the format 2; this helper reads format 1"):
        read_release(path)
