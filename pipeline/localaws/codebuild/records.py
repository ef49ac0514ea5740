"""Builds as the API shows them, shared by the thread that runs a build and those that answer requests."""

import copy
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

IN_PROGRESS: Final = "IN_PROGRESS"
SUCCEEDED: Final = "SUCCEEDED"


class BuildRecord:
    """One build.

    Args:
        document: A `Build` of the API, as it stands when it is submitted.
        inputs: What the build is to do and the API does not show: the project's definition merged with StartBuild's.
        on_state: Called after every change of `buildStatus`, with the build as it is then.
    """

    def __init__(
        self, document: dict[str, Any], inputs: Mapping[str, Any], on_state: Callable[[dict[str, Any]], None]
    ) -> None:
        self.id: str = document["id"]
        self.inputs = inputs
        self.stopped = Event()
        self._document = document
        self._on_state = on_state
        self._lock = threading.Lock()
        self._taken = False

    @property
    def uuid(self) -> str:
        """The part of the id that is the build's own; also its log stream's name."""
        return self.id.rpartition(":")[2]

    @property
    def in_progress(self) -> bool:
        """Whether it has not ended."""
        return not self._document["buildComplete"]

    def snapshot(self) -> dict[str, Any]:
        """The build as it is now."""
        with self._lock:
            return copy.deepcopy(self._document)

    def take(self) -> bool:
        """Take it out of the queue: True for one caller only, who runs it or ends it."""
        with self._lock:
            taken, self._taken = self._taken, True
            return not taken

    def update(self, **members: Any) -> None:
        """Set members of the build."""
        with self._lock:
            self._document.update(members)

    def announce(self) -> None:
        """Say that it is in progress."""
        self._on_state(self.snapshot())

    def enter(self, phase: str) -> None:
        """A phase begins."""
        with self._lock:
            self._document["currentPhase"] = phase
            self._document["phases"].append({"phaseType": phase, "startTime": datetime.now(UTC)})

    def leave(self, status: str, code: str = "", message: str = "") -> None:
        """The current phase ends, with the reason when it did not succeed."""
        with self._lock:
            phase = self._document["phases"][-1]
            end = datetime.now(UTC)
            phase |= {
                "phaseStatus": status,
                "endTime": end,
                "durationInSeconds": int((end - phase["startTime"]).total_seconds()),
            }
            if code or message:
                phase["contexts"] = [{"statusCode": code, "message": message}]

    def finish(self, status: str) -> None:
        """The build has ended. A second end changes nothing."""
        with self._lock:
            if self._document["buildComplete"]:
                return
            now = datetime.now(UTC)
            self._document["phases"].append({"phaseType": "COMPLETED", "startTime": now})
            self._document |= {
                "currentPhase": "COMPLETED", "buildStatus": status, "buildComplete": True, "endTime": now,
            }  # fmt: skip
        self._on_state(self.snapshot())


def event_detail(build: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of "CodeBuild Build State Change" (CodeBuild user guide, "Build notifications input format")."""
    phases = [
        {
            "phase-type": phase["phaseType"],
            "phase-context": [
                f"{context['statusCode']}: {context['message']}" for context in phase.get("contexts", ())
            ],
            "start-time": _time(phase["startTime"]),
            **({"phase-status": phase["phaseStatus"]} if "phaseStatus" in phase else {}),
            **({"end-time": _time(phase["endTime"])} if "endTime" in phase else {}),
            **({"duration-in-seconds": phase["durationInSeconds"]} if "durationInSeconds" in phase else {}),
        }
        for phase in build["phases"]
    ]
    logs = build.get("logs", {})
    return {
        "build-status": build["buildStatus"],
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "current-phase": build["currentPhase"],
        "current-phase-context": "[]",
        "version": "1",
        "additional-information": {
            "build-number": build["buildNumber"],
            "build-complete": build["buildComplete"],
            "initiator": build["initiator"],
            "build-start-time": _time(build["startTime"]),
            "timeout-in-minutes": build["timeoutInMinutes"],
            "queued-timeout-in-minutes": build["queuedTimeoutInMinutes"],
            "source": {key: value for key, value in build["source"].items() if key in {"type", "location"}},
            "source-version": build.get("sourceVersion", ""),
            "artifact": dict(build.get("artifacts", {})),
            "logs": {
                "group-name": logs.get("groupName", ""),
                "stream-name": logs.get("streamName", ""),
                "deep-link": logs.get("deepLink", ""),
            },
            "phases": phases,
        },
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%b %-d, %Y %-I:%M:%S %p")
