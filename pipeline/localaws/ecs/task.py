"""A task and the states it goes through.

PROVISIONING → PENDING → RUNNING → (STOPPING) → DEPROVISIONING → STOPPED (ECS developer guide, "Task lifecycle").
STOPPING is seen while containers are being ended that still run; a task that never started goes to the end at once.
"""

import queue
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pipeline.localaws.ecs.launch import ContainerLaunch, TaskLaunch

Status = Literal["PROVISIONING", "PENDING", "RUNNING", "STOPPING", "DEPROVISIONING", "STOPPED"]
StopCode = Literal["TaskFailedToStart", "EssentialContainerExited", "UserInitiated", "TerminationNotice"]
Times = Literal[
    "connectivityAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt"
]
PLATFORM = "1.4.0"  # what LATEST means on Linux
LOOPBACK = "127.0.0.1"  # tasks share the host's network: see `containers.py`


@dataclass(frozen=True)
class Exit:
    """How a container ended: `code` is None when nobody can know."""

    code: int | None
    reason: str = ""


@dataclass
class ContainerState:
    """What became of one container."""

    launch: ContainerLaunch
    status: Literal["PENDING", "RUNNING", "STOPPED"] = "PENDING"
    docker_id: str = ""
    digest: str = ""
    exit: Exit = Exit(None)


@dataclass
class Task:
    """One task. What changes is changed by its methods only, which any thread may call.

    Attributes:
        request: As RunTask was called.
        signals: Wakes the task's thread: something ended, or is to end.
        hurry: Set when containers are not to be given the time they ask for.
    """

    id: str
    cluster_arn: str
    definition: Mapping[str, Any]
    request: Mapping[str, Any]
    launch: TaskLaunch
    account: str
    region: str
    capacity_provider: str
    tags: list[Mapping[str, str]]
    status: Status = "PROVISIONING"
    desired: Literal["RUNNING", "STOPPED"] = "RUNNING"
    stop_code: StopCode | None = None
    stopped_reason: str = ""
    version: int = 1
    times: dict[str, datetime] = field(default_factory=lambda: {"createdAt": datetime.now(UTC)})
    signals: "queue.SimpleQueue[None]" = field(default_factory=queue.SimpleQueue)
    hurry: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.containers = [ContainerState(container) for container in self.launch.containers]

    @property
    def arn(self) -> str:
        """The task's ARN, in the long format that names the cluster."""
        cluster = self.cluster_arn.rpartition("/")[2]
        return f"arn:aws:ecs:{self.region}:{self.account}:task/{cluster}/{self.id}"

    @property
    def stops(self) -> bool:
        """Whether it is to end, or has ended."""
        return self.desired == "STOPPED"

    def move(self, status: Status) -> None:
        """Enter a status."""
        with self._lock:
            self.status = status
            self.version += 1

    def note(self, *times: Times) -> None:
        """Note that it is now."""
        with self._lock:
            self.times |= dict.fromkeys(times, datetime.now(UTC))

    def ask_to_stop(self, code: StopCode, reason: str) -> None:
        """Want the task to end; the first reason counts."""
        with self._lock:
            self.desired = "STOPPED"
            if self.stop_code is None:
                self.stop_code, self.stopped_reason = code, reason
                self.version += 1
                self.note("stoppingAt")
        self.signals.put(None)

    def container_started(self, state: ContainerState, docker_id: str) -> None:
        """A container runs, if it has not ended already."""
        with self._lock:
            state.docker_id = docker_id
            if state.status == "PENDING":
                state.status = "RUNNING"

    def container_ended(self, state: ContainerState, how: Exit) -> None:
        """A container has ended, or never began."""
        with self._lock:
            state.status, state.exit = "STOPPED", how
        self.signals.put(None)

    def over(self) -> bool:
        """Whether it has no reason to go on: an essential container ended, or all did."""
        with self._lock:
            ended = [state for state in self.containers if state.status == "STOPPED"]
            return any(state.launch.essential for state in ended) or len(ended) == len(self.containers)

    def describe(self) -> dict[str, Any]:
        """The task as the API shows it."""
        with self._lock:
            fargate = {"capacityProviderName": self.capacity_provider} if self.capacity_provider else {}
            overrides = self.request.get("overrides") or {}
            task: dict[str, Any] = {
                "attachments": [self._network()],
                "availabilityZone": f"{self.region}a",
                "taskArn": self.arn,
                "clusterArn": self.cluster_arn,
                "taskDefinitionArn": self.definition["taskDefinitionArn"],
                "group": self.request.get("group") or f"family:{self.definition['family']}",
                "launchType": "FARGATE",
                "platformVersion": PLATFORM,
                "platformFamily": "Linux",
                "lastStatus": self.status,
                "desiredStatus": self.desired,
                "connectivity": "CONNECTED" if "connectivityAt" in self.times else "DISCONNECTED",
                "cpu": str(self.launch.size.cpu),
                "memory": str(self.launch.size.memory),
                "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []} | dict(overrides),
                "enableExecuteCommand": False,
                "healthStatus": "UNKNOWN",
                "tags": list(self.tags),
                "version": self.version,
                "containers": [self._container(state) for state in self.containers],
                **fargate,
                **self.times,
            }
            if started_by := self.request.get("startedBy"):
                task["startedBy"] = started_by
            if self.stop_code:
                task |= {"stopCode": self.stop_code, "stoppedReason": self.stopped_reason}
            return task

    def _id_of(self, part: str) -> str:
        return str(uuid.uuid5(uuid.UUID(self.id), part))

    def _network(self) -> dict[str, Any]:
        status = {"PROVISIONING": "PRECREATED", "STOPPED": "DELETED"}.get(self.status, "ATTACHED")
        subnet = self.request["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]
        details = {"subnetId": subnet, "privateIPv4Address": LOOPBACK}
        return {
            "id": self._id_of("network"),
            "type": "ElasticNetworkInterface",
            "status": status,
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }

    def _container(self, state: ContainerState) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "containerArn": f"{self.arn.replace(':task/', ':container/')}/{self._id_of(state.launch.name)}",
            "taskArn": self.arn,
            "name": state.launch.name,
            "image": state.launch.image,
            "lastStatus": state.status,
            "healthStatus": "UNKNOWN",
            "cpu": str(state.launch.cpu_units),
            "memory": str(state.launch.memory_mib),
            "networkInterfaces": [{"attachmentId": self._id_of("network"), "privateIpv4Address": LOOPBACK}],
        }
        optional = {
            "runtimeId": state.docker_id,
            "imageDigest": state.digest,
            "exitCode": state.exit.code,
            "reason": state.exit.reason,
        }
        return shown | {key: value for key, value in optional.items() if value not in ("", None)}
