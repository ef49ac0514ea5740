"""What every action is given and gives back: one function type for all providers."""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from pipeline.localaws.codepipeline.definition import Action
from pipeline.localaws.codepipeline.records import External, Location, Revision

# Codes of ErrorDetails (API reference, FailureDetails: type).
JOB_FAILED = "JobFailed"
CONFIGURATION_ERROR = "ConfigurationError"
PERMISSION_ERROR = "PermissionError"


class ActionFailedError(Exception):
    """The action failed: a code of `ErrorDetails` and a message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class AbandonedError(Exception):
    """Nobody waits for the action any more: it was abandoned, or the local AWS ends."""


@dataclass(frozen=True)
class Outcome:
    """What a successful action leaves behind."""

    variables: Mapping[str, str] = field(default_factory=dict)
    external: External | None = None
    revision: Revision | None = None


@dataclass(frozen=True)
class Work:
    """An action that is to be done.

    Attributes:
        pipeline: The pipeline's name.
        execution: The execution's id.
        stage: The stage's name.
        action: Its declaration.
        configuration: The same as in the declaration, variables resolved.
        inputs: Input artifact → where it lies.
        outputs: Output artifact → where it must be put.
        revisions: The commits that artifacts were made from, by artifact; a source's own override under "".
        token: The approval token, for an approval.
        client: A boto3 client of a service, in the action's role.
        report: Tells where the work is done as soon as it is known.
        until: When its timeout is over, on `time.monotonic`'s clock.
        ended: Set when nobody waits for the action any more.
        folder: A folder of its own for files; removed afterwards.
    """

    pipeline: str
    execution: str
    stage: str
    action: Action
    configuration: Mapping[str, str]
    inputs: Mapping[str, Location]
    outputs: Mapping[str, Location]
    revisions: Mapping[str, str]
    token: str
    region: str
    client: Callable[[str], Any]
    report: Callable[[External], None]
    until: float
    ended: Event
    folder: Path

    def pause(self, seconds: float) -> None:
        """Wait between two looks at work that is done elsewhere.

        Raises:
            AbandonedError: Nobody waits for it any more.
            ActionFailedError: The action's timeout is over.
        """
        left = self.until - monotonic()
        if self.ended.wait(max(0.0, min(seconds, left))):
            raise AbandonedError
        if seconds >= left:
            raise ActionFailedError(JOB_FAILED, f"The action did not end within {self.action.timeout} minutes")

    def read(self, artifact: str, path: str) -> str:
        """The text of a file in an input artifact.

        Raises:
            ActionFailedError: The artifact or the file does not exist.
        """
        location = self.inputs.get(artifact)
        if location is None:
            raise ActionFailedError(
                CONFIGURATION_ERROR, f"{artifact} is not an input artifact of the action {self.action.name}"
            )
        body = self.client("s3").get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            try:
                return archive.read(path).decode()
            except KeyError:
                raise ActionFailedError(
                    CONFIGURATION_ERROR, f"File [{path}] does not exist in artifact [{artifact}]"
                ) from None

    def write(self, artifact: str, archive: Path) -> None:
        """Put a ZIP as an output artifact."""
        location = self.outputs[artifact]
        self.client("s3").upload_file(str(archive), location.bucket, location.key)


Perform = Callable[[Work], Outcome]
