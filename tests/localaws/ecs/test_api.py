"""The API for tasks, with boto3's waiters and the AWS CLI as the judges."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.localaws.ecs.service import Ecs
from tests.localaws.conftest import Serve
from tests.localaws.ecs.world import World, shell

pytestmark = pytest.mark.docker


def test_the_waiters_of_boto3_see_a_task_run_and_stop(world: World, image: str) -> None:
    arn = world.start(world.register(shell("sleep 2", image)))["taskArn"]
    often = {"Delay": 1, "MaxAttempts": 60}
    world.ecs.get_waiter("tasks_running").wait(cluster=world.cluster, tasks=[arn], WaiterConfig=often)
    assert world.task(arn)["startedAt"]
    world.ecs.get_waiter("tasks_stopped").wait(cluster=world.cluster, tasks=[arn], WaiterConfig=often)
    assert world.task(arn)["lastStatus"] == "STOPPED"


def aws(world: World, *arguments: str) -> Any:
    environment = {**os.environ, **world.region.environment()}
    command = [str(Path(sys.executable).with_name("aws")), "ecs", *arguments, "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")


def test_the_aws_cli_runs_describes_lists_and_stops_tasks(world: World, image: str) -> None:
    definition = world.register(shell("while true; do sleep 0.1; done", image, stopTimeout=1))
    family = definition.rpartition("/")[2].partition(":")[0]
    network = f"awsvpcConfiguration={{subnets=[{world.subnet}],assignPublicIp=DISABLED}}"
    on = ("--cluster", world.cluster)
    (task,) = aws(
        world, "run-task", *on, "--task-definition", family, "--launch-type", "FARGATE",
        "--network-configuration", network, "--started-by", "a person", "--tags", "key=team,value=data",
    )["tasks"]  # fmt: skip
    arn = task["taskArn"]
    assert task["taskDefinitionArn"] == definition
    aws(world, "wait", "tasks-running", *on, "--tasks", arn)
    assert aws(world, "list-tasks", *on, "--family", family)["taskArns"] == [arn]
    stopped = aws(world, "stop-task", *on, "--task", arn.rpartition("/")[2], "--reason", "enough")["task"]
    assert stopped["stopCode"] == "UserInitiated"
    aws(world, "wait", "tasks-stopped", *on, "--tasks", arn)
    (found,) = aws(world, "describe-tasks", *on, "--tasks", arn, "--include", "TAGS")["tasks"]
    assert found["stoppedReason"] == "enough"
    assert found["tags"] == [{"key": "team", "value": "data"}]
    assert found["startedBy"] == "a person"


def test_tasks_are_listed_by_what_they_were_started_from(world: World, image: str) -> None:
    lasting = world.register(shell("while true; do sleep 0.1; done", image, stopTimeout=1))
    short = world.register(shell("true", image))
    runs, other = (world.start(lasting, startedBy=by)["taskArn"] for by in ("one", "two"))
    done = world.run(short, startedBy="one")["taskArn"]

    def listed(**filters: str) -> list[str]:
        return sorted(world.ecs.list_tasks(cluster=world.cluster, **filters)["taskArns"])

    family, short_family = (each.rpartition("/")[2].partition(":")[0] for each in (lasting, short))
    assert listed(family=family) == sorted([runs, other])
    assert listed(startedBy="one") == [runs]
    assert listed(startedBy="one", desiredStatus="RUNNING") == [runs]
    assert listed(startedBy="one", desiredStatus="STOPPED") == [done]
    assert listed(family=short_family) == []
    assert listed(family=short_family, desiredStatus="STOPPED") == [done]
    assert listed(family=family, launchType="FARGATE") == sorted([runs, other])
    assert listed(family=family, launchType="EC2") == []
    pages = world.ecs.get_paginator("list_tasks").paginate(
        cluster=world.cluster, family=family, PaginationConfig={"PageSize": 1}
    )
    assert sorted(arn for page in pages for arn in page["taskArns"]) == sorted([runs, other])
    for arn in (runs, other):
        world.ecs.stop_task(cluster=world.cluster, task=arn)
    assert listed(family=family) == []
    assert listed(family=family, desiredStatus="STOPPED") == sorted([runs, other])


def test_several_tasks_start_at_once_and_each_is_its_own(world: World, image: str) -> None:
    answer = world.ecs.run_task(
        cluster=world.cluster,
        taskDefinition=world.register(shell("echo $0", image)),
        launchType="FARGATE",
        networkConfiguration=world.network,
        count=3,
    )
    arns = {task["taskArn"] for task in answer["tasks"]}
    assert len(arns) == 3
    for arn in arns:
        world.ended(arn)
        assert len(world.log(arn)) == 1


def test_a_family_alone_means_its_latest_active_revision(world: World, image: str) -> None:
    first = world.register(shell("exit 1", image))
    family = first.rpartition("/")[2].partition(":")[0]
    second = world.register(shell("exit 2", image), family=family)
    third = world.register(shell("exit 3", image), family=family)
    world.ecs.deregister_task_definition(taskDefinition=third)
    task = world.run(family)
    assert task["taskDefinitionArn"] == second
    assert task["group"] == f"family:{family}"


def test_a_client_token_starts_its_task_once(world: World, image: str) -> None:
    definition = world.register(shell("true", image))
    first = world.start(definition, clientToken=f"once-{world.mark}")
    assert world.start(definition, clientToken=f"once-{world.mark}")["taskArn"] == first["taskArn"]
    with pytest.raises(ClientError, match="ConflictException"):
        world.start(definition, clientToken=f"once-{world.mark}", startedBy="another")


def test_tags_come_from_the_request_and_where_asked_for_from_the_definition_and_ecs(world: World, image: str) -> None:
    tags = [{"key": "team", "value": "data"}, {"key": "who", "value": "definition"}]
    definition = world.register(shell("true", image), tags=tags)
    own = [{"key": "who", "value": "request"}]

    def tagged(**request: Any) -> dict[str, str]:
        found = world.task(world.start(definition, tags=own, **request)["taskArn"])["tags"]
        return {tag["key"]: tag["value"] for tag in found}

    assert tagged() == {"who": "request"}
    assert tagged(propagateTags="TASK_DEFINITION", enableECSManagedTags=True) == {
        "team": "data",
        "who": "request",
        "aws:ecs:clusterName": world.cluster,
    }
    arn = world.start(definition, tags=own)["taskArn"]
    assert world.ecs.describe_tasks(cluster=world.cluster, tasks=[arn])["tasks"][0]["tags"] == []


def test_a_task_that_is_not_there_is_missing_and_cannot_be_stopped(world: World) -> None:
    answer = world.ecs.describe_tasks(cluster=world.cluster, tasks=["0123"])
    assert answer["tasks"] == []
    arn = f"arn:aws:ecs:eu-west-1:{world.region.account}:task/{world.cluster}/0123"
    assert answer["failures"] == [{"arn": arn, "reason": "MISSING"}]
    with pytest.raises(ClientError, match=r"InvalidParameterException.*The referenced task was not found"):
        world.ecs.stop_task(cluster=world.cluster, task="0123")


def test_a_task_belongs_to_its_cluster(world: World, image: str) -> None:
    world.ecs.create_cluster(clusterName=f"other-{world.mark}")
    task = world.run(world.register(shell("true", image)))
    found = world.ecs.describe_tasks(cluster=f"other-{world.mark}", tasks=[task["taskArn"]])
    assert [failure["reason"] for failure in found["failures"]] == ["MISSING"]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"cluster": "nobody"}, "ClusterNotFoundException", "Cluster not found."),
        ({"cluster": "DELETED"}, "ClusterNotFoundException", "The referenced cluster was inactive."),
        ({"taskDefinition": "nobody"}, "ClientException", "TaskDefinition not found."),
        ({"taskDefinition": "INACTIVE"}, "InvalidParameterException", "TaskDefinition is inactive"),
        ({"networkConfiguration": None}, "InvalidParameterException", "Network Configuration must be provided"),
        ({"networkConfiguration": "subnet-0"}, "InvalidParameterException", "Error retrieving subnet information"),
        ({"launchType": "EC2"}, "InvalidParameterException", "No Container Instances were found in your cluster."),
        ({"launchType": None}, "InvalidParameterException", "No Container Instances were found in your cluster."),
        ({"taskDefinition": "ON EC2"}, "InvalidParameterException", "does not support launch_type FARGATE"),
        ({"count": 11}, "InvalidParameterException", "count"),
        ({"overrides": {"cpu": "512"}}, "InvalidParameterException", "No Fargate configuration exists"),
        (
            {"overrides": {"containerOverrides": [{"name": "other"}]}},
            "InvalidParameterException",
            "Override for container named other is not a container in the TaskDefinition.",
        ),
        ({"enableExecuteCommand": True}, "InvalidParameterException", "enableExecuteCommand"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_request_that_ecs_refuses_is_refused_in_its_words(
    world: World, image: str, change: dict[str, Any], code: str, message: str
) -> None:
    definition = world.register(shell("true", image))
    request: dict[str, Any] = {
        "cluster": world.cluster,
        "taskDefinition": definition,
        "launchType": "FARGATE",
        "networkConfiguration": world.network,
    } | change
    if request["cluster"] == "DELETED":
        request["cluster"] = f"deleted-{world.mark}"
        world.ecs.create_cluster(clusterName=request["cluster"])
        world.ecs.delete_cluster(cluster=request["cluster"])
    if request["taskDefinition"] == "INACTIVE":
        request["taskDefinition"] = definition
        world.ecs.deregister_task_definition(taskDefinition=definition)
    if request["taskDefinition"] == "ON EC2":
        request["taskDefinition"] = world.register(shell("true", image, memory=64), requiresCompatibilities=["EC2"])
    if request["networkConfiguration"] == "subnet-0":
        request["networkConfiguration"] = {"awsvpcConfiguration": {"subnets": ["subnet-0"]}}
    with pytest.raises(ClientError) as caught:
        world.ecs.run_task(**{key: value for key, value in request.items() if value is not None})
    assert caught.value.response["Error"]["Code"] == code
    assert message in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("container", "task", "names"),
    [
        ({"healthCheck": {"command": ["true"]}}, {}, "healthCheck"),
        ({"logConfiguration": {"logDriver": "splunk"}}, {}, "splunk"),
        ({"mountPoints": [{"sourceVolume": "x", "containerPath": "/x"}]}, {"volumes": [{"name": "x"}]}, "volumes"),
        ({"secrets": [{"name": "A", "valueFrom": "arn:aws:s3:::bucket"}]}, {}, "ssm or secretsmanager"),
    ],
    ids=["health check", "log driver", "volume", "secret"],
)
def test_what_the_local_aws_does_not_do_is_refused_by_name(
    world: World, image: str, container: dict[str, Any], task: dict[str, Any], names: str
) -> None:
    definition = world.register(shell("true", image, **container), **task)
    with pytest.raises(ClientError, match=names):
        world.start(definition)


@pytest.mark.parametrize("operation", ["start_task", "create_service", "execute_command"])
def test_an_operation_that_would_run_nothing_is_refused(world: World, operation: str) -> None:
    requests: dict[str, dict[str, Any]] = {
        "start_task": {"taskDefinition": "x", "containerInstances": ["x"]},
        "create_service": {"serviceName": "x", "taskDefinition": "x"},
        "execute_command": {"task": "x", "command": "sh", "interactive": True},
    }
    with pytest.raises(ClientError, match="NotImplementedException"):
        getattr(world.ecs, operation)(**requests[operation])


def test_every_change_of_a_task_is_an_event(world: World, image: str) -> None:
    sns, sqs, events = (world.region.client(name) for name in ("sns", "sqs", "events"))
    topic = sns.create_topic(Name=f"tasks-{world.mark}")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"tasks-{world.mark}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}
    events.put_rule(Name=f"tasks-{world.mark}", EventPattern=json.dumps(pattern))
    events.put_targets(Rule=f"tasks-{world.mark}", Targets=[{"Id": "topic", "Arn": topic}])
    task = world.run(world.register(shell("exit 6", image)))["taskArn"]
    found: list[dict[str, Any]] = []
    end = monotonic() + 10
    while not any(each["lastStatus"] == "STOPPED" for each in found) and monotonic() < end:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            if task in event["resources"]:
                found.append(event["detail"])
        sleep(0.05)
    events.remove_targets(Rule=f"tasks-{world.mark}", Ids=["topic"])
    found.sort(key=lambda each: each["version"])
    assert [each["lastStatus"] for each in found] == [
        "PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED",
    ]  # fmt: skip
    assert found[-1]["containers"][0]["exitCode"] == 6
    assert found[-1]["stopCode"] == "EssentialContainerExited"


def test_clusters_and_definitions_are_kept_without_an_engine(serve: Serve) -> None:
    def no_engine() -> Any:
        raise AssertionError("nobody asked for a task")

    region = serve(lambda region: [_WithoutStart(region, no_engine, str)])
    ecs = region.client("ecs")
    ecs.create_cluster(clusterName="quiet")
    assert ecs.describe_clusters(clusters=["quiet"])["clusters"][0]["status"] == "ACTIVE"


class _WithoutStart(Ecs):
    def start(self) -> None: ...

    def stop(self) -> None: ...
