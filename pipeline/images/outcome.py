"""What came of each image: values for tables, JSON and the one-line summary."""

from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.images.checks.finding import Finding
from pipeline.images.plan import Image, UpToDate


@dataclass(frozen=True)
class Built:
    """An image that the registry did not have and has now; `by_us` is False when somebody else was quicker."""

    name: str
    tag: str
    reason: str
    image: Image
    seconds: float
    by_us: bool = True
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Failed:
    """An image that did not build, or was not pushed; `error` says why."""

    name: str
    tag: str
    reason: str
    error: PipelineError
    seconds: float
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """An image that was not tried, because its base failed."""

    name: str
    tag: str
    reason: str
    base: str


Outcome = UpToDate | Built | Failed | Skipped
