"""What is remembered of executions and actions, beyond what decides the next step: the API shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.localaws.codepipeline.definition import Action
from pipeline.localaws.codepipeline.progress import ActionStatus


@dataclass(frozen=True)
class Location:
    """Where an artifact lies in S3."""

    bucket: str
    key: str


@dataclass(frozen=True)
class Revision:
    """What a source action took: a commit."""

    id: str
    summary: str
    url: str
    created: datetime


@dataclass(frozen=True)
class Trigger:
    """What started an execution: a `triggerType` of the API, and whose doing it was."""

    type: str
    detail: str


@dataclass(frozen=True)
class External:
    """Where the work of an action is done: a build, a stack. Known while it runs."""

    id: str = ""
    url: str = ""
    summary: str = ""
    log_stream: str = ""  # ARN


@dataclass(frozen=True)
class Failure:
    """Why an action failed: a code of the API's `ErrorDetails`, and a message for people."""

    code: str
    message: str


@dataclass(frozen=True)
class ActionRun:
    """One run of one action."""

    id: str
    execution: str
    version: int
    stage: str
    action: Action
    role: str
    status: ActionStatus
    started: datetime
    updated: datetime
    configuration: Mapping[str, str]  # resolved
    inputs: Mapping[str, Location]
    outputs: Mapping[str, Location] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    external: External = External()
    failure: Failure | None = None
    token: str = ""  # of an approval that waits
    updated_by: str = ""
    revision: Revision | None = None


@dataclass(frozen=True)
class Retries:
    """How often a stage of an execution was run again, by itself and by people."""

    automated: int = 0
    manual: int = 0
    latest: str = ""  # a RetryTrigger of the API


@dataclass(frozen=True)
class Transition:
    """Who last disabled or enabled the way into a stage, and why."""

    enabled: bool
    changed_by: str
    changed_at: datetime
    reason: str = ""


@dataclass(frozen=True)
class ExecutionRecord:
    """What an execution was started with, and what its actions have produced so far."""

    id: str
    trigger: Trigger
    started: datetime
    updated: datetime
    variables: Mapping[str, str]  # of the pipeline
    overrides: Mapping[str, str] = field(default_factory=dict)  # source action → commit id to take
    request_token: str = ""
    summary: str = ""
    stop_reason: str = ""
    rolls_back_to: str = ""
    artifacts: Mapping[str, Location] = field(default_factory=dict)
    revisions: Mapping[str, Revision] = field(default_factory=dict)  # by source action
    artifact_revisions: Mapping[str, Revision] = field(default_factory=dict)  # by artifact
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    retries: Mapping[str, Retries] = field(default_factory=dict)  # by stage
