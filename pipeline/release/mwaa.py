"""The MWAA environment itself: which versions of requirements, plugins and startup script it is pinned to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.release import pip_log
from pipeline.release.record import PartName
from pipeline.release.tree import PART_KEYS

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_logs import CloudWatchLogsClient

Replacement = Literal["GRACEFUL", "FORCED"]

# Where the API's members for each part are (UpdateEnvironment, GetEnvironment).
_MEMBERS: dict[PartName, tuple[str, str]] = {
    "requirements": ("RequirementsS3Path", "RequirementsS3ObjectVersion"),
    "plugins": ("PluginsS3Path", "PluginsS3ObjectVersion"),
    "startup": ("StartupScriptS3Path", "StartupScriptS3ObjectVersion"),
}
_COMPONENTS = ("Scheduler", "Worker", "WebServer")  # each installs the requirements, and logs it in a group of its own
_PIP_STREAMS = "requirements_install"  # streams whose names begin so
_LONGEST_GRACEFUL = 12 * 3600 + 3600  # seconds: workers may finish their tasks for 12 hours (MWAA user guide)
_FIRST_LOOK, _LONGEST_PAUSE = 2.0, 20.0  # seconds between looks
_MINUTES = 2  # between signs of progress


class RequirementsError(PipelineError):
    """MWAA runs without the requirements: pip could not install them."""


@dataclass(frozen=True)
class State:
    """What GetEnvironment says.

    Attributes:
        status: As the API names it.
        pinned: The S3 versions in force.
        update: Status of the last update: SUCCESS, PENDING, FAILED; None when there was none.
        updated: When the last update began.
        error: Why the last update failed, in MWAA's words.
    """

    status: str
    pinned: Mapping[PartName, str]
    update: str | None = None
    updated: datetime | None = None
    error: str = ""


class AirflowEnvironment(Protocol):
    """An MWAA environment."""

    name: str

    def state(self) -> State:
        """What it is doing."""

    def pin(self, versions: Mapping[PartName, str], replacement: Replacement) -> None:
        """Begin to use other S3 versions, by UpdateEnvironment."""

    def requirements_log(self, since: datetime) -> list[str]:
        """What pip said while it installed requirements.txt, in every component.

        Raises:
            PipelineError: It cannot be read.
        """


class MwaaEnvironment:
    """An MWAA environment, by boto3."""

    def __init__(self, session: "boto3.Session", name: str) -> None:
        self.name = name
        self._mwaa = session.client("mwaa")
        self._session = session

    @cached_property
    def _logs(self) -> "CloudWatchLogsClient":
        return self._session.client("logs")

    def state(self) -> State:
        """What GetEnvironment says."""
        try:
            found = self._mwaa.get_environment(Name=self.name)["Environment"]
        except (ClientError, BotoCoreError) as error:
            raise PipelineError(f"MWAA does not describe the environment: {error}", where=self.name) from None
        described: Mapping[str, Any] = dict(found)
        last = described.get("LastUpdate", {})
        problem = last.get("Error", {})
        return State(
            status=described.get("Status", "UNKNOWN"),
            pinned={name: described[version] for name, (_, version) in _MEMBERS.items() if described.get(version)},
            update=last.get("Status"),
            updated=last.get("CreatedAt"),
            error=": ".join(filter(None, (problem.get("ErrorCode"), problem.get("ErrorMessage")))),
        )

    def pin(self, versions: Mapping[PartName, str], replacement: Replacement) -> None:
        """Begin to use other S3 versions."""
        request: dict[str, Any] = {"Name": self.name, "WorkerReplacementStrategy": replacement}
        for name, version in versions.items():
            path, object_version = _MEMBERS[name]
            request |= {path: PART_KEYS[name], object_version: version}
        try:
            self._mwaa.update_environment(**request)
        except (ClientError, BotoCoreError) as error:
            raise PipelineError(f"MWAA refuses the update: {error}", where=self.name) from None

    def requirements_log(self, since: datetime) -> list[str]:
        """What pip said; see `AirflowEnvironment`."""
        lines: list[str] = []
        for component in _COMPONENTS:
            group = f"airflow-{self.name}-{component}"
            try:
                found = self._logs.get_paginator("filter_log_events").paginate(
                    logGroupName=group,
                    logStreamNamePrefix=_PIP_STREAMS,
                    startTime=int(since.timestamp() * 1000),
                )
                lines += [event["message"] for page in found for event in page["events"]]
            except (ClientError, BotoCoreError) as error:
                raise PipelineError(f"the pip log cannot be read: {error}", where=group) from None
        return lines


def update(
    environment: AirflowEnvironment,
    versions: Mapping[PartName, str],
    replacement: Replacement,
    *,
    renew: Callable[[], None],
    alive: Callable[[], None],
    tell: Callable[[str], None],
    pause: Callable[[float], None] = sleep,
) -> None:
    """Pin versions and wait until MWAA runs with them.

    Every update of any part makes new workers, and each installs the requirements anew.

    | MWAA is                            | with these versions | what is done                                          |
    | ---------------------------------- | ------------------- | ----------------------------------------------------- |
    | AVAILABLE                          | yes                 | the pip log of the update that brought them is read   |
    | UPDATE_FAILED: it has restored the | yes                 | nothing: the pip log is of the update that failed     |
    | former state, and can be used      |                     |                                                       |
    | either                             | no                  | they are pinned, and then the pip log is read         |
    | anything else                      | any                 | refused                                               |

    Args:
        environment: The environment.
        versions: Part → S3 version.
        replacement: How workers are replaced.
        renew: Called right before workers are replaced, which nothing can take back; raises when the lock was lost.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people whenever the status changes.
        pause: Waits for a number of seconds.

    Raises:
        RequirementsError: MWAA updated it, but pip could not install the requirements: Airflow runs without them.
        PipelineError: The environment is busy, MWAA refuses, or the update failed (and MWAA restored the former state).
    """
    before = environment.state()
    if before.status not in ("AVAILABLE", "UPDATE_FAILED"):
        raise PipelineError(
            f"the environment is {before.status}: it takes no update now",
            where=environment.name,
            mend="Wait until it is AVAILABLE (aws mwaa get-environment), then run the command again.",
        )
    if all(before.pinned.get(name) == version for name, version in versions.items()):
        if before.status == "UPDATE_FAILED":
            tell(f"{environment.name} runs with these versions: MWAA restored them when its last update failed")
            return
        # An earlier run may have brought them and failed: that they are in force does not say that they are installed.
        _judge_pip(environment, before, tell)
        return
    renew()
    tell(f"the workers of {environment.name} are replaced ({replacement}), which takes a while")
    environment.pin(versions, replacement)
    now = _wait(environment, versions, before, alive=alive, tell=tell, pause=pause)
    _judge_pip(environment, now, tell)


def _judge_pip(environment: AirflowEnvironment, now: State, tell: Callable[[str], None]) -> None:
    """Read what pip said since the last update, if there was one and there are requirements to install."""
    if "requirements" not in now.pinned or now.updated is None:
        return
    try:
        lines = environment.requirements_log(now.updated)
    except PipelineError as error:
        tell(f"whether pip installed the requirements is not known: {error}")
        return
    if problems := pip_log.problems(lines):
        raise RequirementsError(
            "pip could not install requirements.txt, and MWAA runs without it:\n"
            + "\n".join(f"    {line}" for line in problems),
            where=environment.name,
            mend="Correct requirements.txt and push again.",
        )
    told = "says that requirements.txt is installed" if lines else "is empty: are the environment's logs switched on?"
    tell(f"the pip log {told}")


def _wait(
    environment: AirflowEnvironment,
    versions: Mapping[PartName, str],
    before: State,
    *,
    alive: Callable[[], None],
    tell: Callable[[str], None],
    pause: Callable[[float], None],
) -> State:
    started, said, seconds, minutes = monotonic(), "", _FIRST_LOOK, 0
    while monotonic() - started < _LONGEST_GRACEFUL:
        pause(seconds)
        seconds = min(seconds * 1.5, _LONGEST_PAUSE)
        alive()
        now = environment.state()
        elapsed = int((monotonic() - started) / 60)
        if now.status != said or elapsed >= minutes + _MINUTES:
            said, minutes = now.status, elapsed
            tell(f"{environment.name} is {now.status}" + (f", after {elapsed} min" if elapsed else ""))
        if _failed(now, before):
            raise PipelineError(
                f"MWAA could not update it and keeps the former state: {now.error or 'it gives no reason'}",
                where=environment.name,
                mend="Correct requirements.txt, plugins/ or startup.sh, and push again.",
            )
        pinned = all(now.pinned.get(name) == version for name, version in versions.items())
        if now.status == "AVAILABLE" and pinned and now.update != "PENDING":
            return now
    raise PipelineError("MWAA did not end the update within 13 hours", where=environment.name)


def _failed(now: State, before: State) -> bool:
    """Whether our update failed; not one before it, whose status stays until ours has begun."""
    ours = now.updated != before.updated or now.status != before.status
    return ours and now.update != "PENDING" and "FAILED" in (now.update, now.status.removeprefix("UPDATE_"))
