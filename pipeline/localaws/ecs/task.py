"""A task and the states it goes through."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pipeline.localaws.ecs.launch import ContainerLaunch

Status = Literal["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]
StopCode = Literal["TaskFailedToStart", "EssentialContainerExited", "UserInitiated"]


@dataclass
class ContainerState:
    """What became of one container."""

    launch: ContainerLaunch
    status: str = "PENDING"
    docker_id: str = ""
    digest: str = ""
    exit_code: int | None = None
    reason: str = ""


@dataclass
class Task:
    """One task. Everything mutable is changed and read under `lock`."""

    id: str
    cluster_arn: str
    definition: Mapping[str, Any]
    request: Mapping[str, Any]
    account: str
    region: str
    containers: Sequence[ContainerState]
    tags: list[Mapping[str, str]]
    status: Status = "PROVISIONING"
    desired: Literal["RUNNING", "STOPPED"] = "RUNNING"
    stop_code: StopCode | None = None
    stopped_reason: str = ""
    times: dict[str, datetime] = field(default_factory=dict)
    stop_requested: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.times["createdAt"] = datetime.now(UTC)

    @property
    def arn(self) -> str:
        """The task's ARN, in the long format that names the cluster."""
        cluster = self.cluster_arn.rpartition("/")[2]
        return f"arn:aws:ecs:{self.region}:{self.account}:task/{cluster}/{self.id}"

    def move(self, status: Status, time: str = "") -> None:
        """Enter a status, noting when under the API's name for that time."""
        with self.lock:
            self.status = status
            if time:
                self.times[time] = datetime.now(UTC)

    def ask_to_stop(self, code: StopCode, reason: str) -> None:
        """Want the task to end; the first reason counts."""
        with self.lock:
            self.desired = "STOPPED"
            if self.stop_code is None:
                self.stop_code, self.stopped_reason = code, reason
                self.times["stoppingAt"] = datetime.now(UTC)
        self.stop_requested.set()

    def describe(self) -> dict[str, Any]:
        """The task as the API shows it."""
        with self.lock:
            task: dict[str, Any] = {
                "taskArn": self.arn,
                "clusterArn": self.cluster_arn,
                "taskDefinitionArn": self.definition["taskDefinitionArn"],
                "group": self.request.get("group", f"family:{self.definition['family']}"),
                "launchType": "FARGATE",
                "platformVersion": "1.4.0",
                "platformFamily": "Linux",
                "lastStatus": self.status,
                "desiredStatus": self.desired,
                "connectivity": "CONNECTED" if self.status == "RUNNING" else "DISCONNECTED",
                "cpu": str(self.definition.get("cpu", "")),
                "memory": str(self.definition.get("memory", "")),
                "overrides": self.request.get("overrides", {}),
                "startedBy": self.request.get("startedBy", ""),
                "enableExecuteCommand": False,
                "tags": self.tags,
                "attachments": [],
                "version": 1,
                "containers": [self._container(container) for container in self.containers],
                **self.times,
            }
            if self.stop_code:
                task |= {"stopCode": self.stop_code, "stoppedReason": self.stopped_reason}
            return task

    def _container(self, container: ContainerState) -> dict[str, Any]:
        container_id = uuid.uuid5(uuid.UUID(self.id), container.launch.name)
        shown: dict[str, Any] = {
            "containerArn": f"{self.arn.replace(':task/', ':container/')}/{container_id}",
            "taskArn": self.arn,
            "name": container.launch.name,
            "image": container.launch.image,
            "lastStatus": container.status,
            "networkInterfaces": [],
        }
        optional = {
            "runtimeId": container.docker_id,
            "imageDigest": container.digest,
            "exitCode": container.exit_code,
            "reason": container.reason,
        }
        return shown | {key: value for key, value in optional.items() if value not in ("", None)}
