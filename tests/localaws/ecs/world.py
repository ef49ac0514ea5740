"""A region with ECS, a registry, a cluster, a network and a log group, and what every test does with them."""

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from docker import DockerClient

from pipeline.localaws.ecr.reference import image_reference
from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.ecs.service import Ecs
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.conftest import free_port

Document = Mapping[str, Any]


@dataclass
class World:
    """One local AWS. Names are fresh in each: moto keeps its state for the life of the process."""

    region: LocalRegion
    server: Server
    docker: DockerClient
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.ecs = self.region.client("ecs")
        self.cluster = f"etl-{self.mark}"
        self.log_group = f"/etl/{self.mark}/tasks"
        self.data = f"etl-data-{self.mark}"
        self.ecs.create_cluster(clusterName=self.cluster)
        self.region.client("logs").create_log_group(logGroupName=self.log_group)
        self.subnet = self.region.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]

    @property
    def network(self) -> dict[str, Any]:
        return {"awsvpcConfiguration": {"subnets": [self.subnet], "assignPublicIp": "DISABLED"}}

    def push(self, image: str, name: str, tag: str = "1") -> str:
        """Push an image of the engine to ECR; the URI as task definitions write it."""
        ecr = self.region.client("ecr")
        repository = f"{name}-{self.mark}"
        ecr.create_repository(repositoryName=repository)
        host = self.region.endpoint.partition("://")[2]
        self.docker.images.get(image).tag(f"{host}/{repository}", tag=tag)
        password = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        secret = base64.b64decode(password).decode().partition(":")[2]
        for line in self.docker.images.push(
            f"{host}/{repository}",
            tag=tag,
            auth_config={"username": "AWS", "password": secret},
            stream=True,
            decode=True,
        ):
            assert "error" not in line, line
        return f"{self.region.account}.dkr.ecr.eu-west-1.amazonaws.com/{repository}:{tag}"

    def register(self, *containers: Document, **task: Any) -> str:
        """Register a task definition; its revision's ARN."""
        family = f"task-{uuid.uuid4().hex[:8]}"
        complete = [
            {
                "name": "main",
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": self.log_group,
                        "awslogs-region": "eu-west-1",
                        "awslogs-stream-prefix": "tests",
                    },
                },
                **container,
            }
            for container in containers
        ]
        settings: dict[str, Any] = {
            "family": family,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": complete,
        }
        answer = self.ecs.register_task_definition(**(settings | task))
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def start(self, definition: str, **request: Any) -> dict[str, Any]:
        """RunTask on Fargate; the task as RunTask describes it."""
        settings = {"cluster": self.cluster, "launchType": "FARGATE", "networkConfiguration": self.network}
        answer = self.ecs.run_task(**(settings | {"taskDefinition": definition} | request))
        assert answer["failures"] == []
        task: dict[str, Any] = answer["tasks"][0]
        return task

    def run(self, definition: str, **request: Any) -> dict[str, Any]:
        """Start a task and wait for its end."""
        return self.ended(self.start(definition, **request)["taskArn"])

    def task(self, arn: str) -> dict[str, Any]:
        """DescribeTasks."""
        (found,) = self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn], include=["TAGS"])["tasks"]
        return dict(found)

    def wait(self, arn: str, until: Callable[[dict[str, Any]], Any], seconds: float = 180) -> dict[str, Any]:
        """The task, once it is as a test wants it."""
        end = monotonic() + seconds
        while not until(found := self.task(arn)):
            assert monotonic() < end, found
            sleep(0.05)
        return found

    def ended(self, arn: str) -> dict[str, Any]:
        return self.wait(arn, lambda task: task["lastStatus"] == "STOPPED")

    def running(self, arn: str) -> dict[str, Any]:
        return self.wait(arn, lambda task: task["lastStatus"] == "RUNNING")

    def log(self, arn: str, container: str = "main") -> list[str]:
        """The lines of a container in CloudWatch Logs."""
        stream = f"tests/{container}/{arn.rpartition('/')[2]}"
        events = self.region.client("logs").get_log_events(
            logGroupName=self.log_group, logStreamName=stream, startFromHead=True
        )["events"]
        return [event["message"] for event in events]

    def containers(self) -> list[Any]:
        """What the engine has of this local AWS."""
        return list(
            self.docker.containers.list(all=True, filters={"label": f"pipeline.local.ecs={self.region.folder}"})
        )


def shell(script: str, image: str, **container: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    return {"image": image, "entryPoint": ["/bin/sh", "-c"], "command": [script], **container}


def open_world(folder: Path, docker: DockerClient, port: int = 0, services: Sequence[Any] = ()) -> World:
    """A server with ECR and ECS whose files lie in a folder."""
    port = port or free_port()
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder)
    ecr = Ecr(region)
    ecs = Ecs(region, lambda: docker, lambda uri: image_reference(uri, region))
    server = Server(LocalAws(region, [ecr, ecs, *services], ecr.mounts), port)
    server.start()
    return World(region, server, docker)
