"""A run of a job, and what decides about it: values only.

STARTING → RUNNING → SUCCEEDED | FAILED | TIMEOUT, or → STOPPING → STOPPED (Glue developer guide, "Job run statuses").
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

State = Literal["STARTING", "RUNNING", "STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT"]
ENDED: Final = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT"})
PYTHON_SHELL: Final = "pythonshell"
LOG_GROUP: Final = "/aws-glue/python-jobs"  # of Python shell jobs; their lines go to `/output` and `/error` below it
DEFAULT_TIMEOUT: Final = 2880  # minutes


class RefusedError(ValueError):
    """The run cannot start. `code` is Glue's name of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(job: Mapping[str, Any], running: int) -> None:
    """Refuse a run that Glue, or this machine, would not start.

    Args:
        job: As GetJob shows it.
        running: How many runs of it have not ended.

    Raises:
        RefusedError: Says why.
    """
    kind = job["Command"].get("Name", "glueetl")
    if kind != PYTHON_SHELL:
        raise RefusedError(
            "InvalidInputException",
            f"the local AWS runs jobs of the command {PYTHON_SHELL!r} only: it has no Spark or Ray for {kind!r}",
        )
    most = (job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1
    if running >= most:
        raise RefusedError("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {job['Name']}")


def arguments(job: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, str]:
    """The arguments of a run: the job's, the caller's over them, and those of the job that nobody overrides."""
    return {
        **(job.get("DefaultArguments") or {}),
        **(request.get("Arguments") or {}),
        **(job.get("NonOverridableArguments") or {}),
    }


def error_message(code: int, last_lines: Sequence[str]) -> str:
    """What Glue says of a script that failed: Python's last line names the exception."""
    said = [line for line in last_lines if line.strip()]
    if said and said[-1][0].isalpha() and ":" in said[-1]:
        return said[-1]
    return f"Command Failed due to exit code {code}"


@dataclass
class JobRun:
    """One run. What changes is changed by its methods only, which any thread may call."""

    id: str
    job: Mapping[str, Any]
    arguments: Mapping[str, str]
    timeout: int  # minutes
    state: State = "STARTING"
    message: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    completed: datetime | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    stop_asked: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ENDED

    def move(self, state: State, message: str = "") -> None:
        """Enter a state; one that ended stays as it is."""
        with self._lock:
            if self.state in ENDED:
                return
            self.state, self.message, self.modified = state, message, datetime.now(UTC)
            if state in ENDED:
                self.completed = self.modified

    def describe(self) -> dict[str, Any]:
        """The run as the API shows it."""
        with self._lock:
            shown: dict[str, Any] = {
                "Id": self.id,
                "Attempt": 0,
                "JobName": self.job["Name"],
                "StartedOn": self.started,
                "LastModifiedOn": self.modified,
                "JobRunState": self.state,
                "Arguments": dict(self.arguments),
                "PredecessorRuns": [],
                "ExecutionTime": round(((self.completed or datetime.now(UTC)) - self.started).total_seconds()),
                "Timeout": self.timeout,
                "MaxCapacity": self.job.get("MaxCapacity") or 0.0625,
                "LogGroupName": LOG_GROUP,
            }
            if self.completed:
                shown["CompletedOn"] = self.completed
            if self.message:
                shown["ErrorMessage"] = self.message
            return shown
