"""What the registry's own scan found in images: ECR's basic scan on push, or Amazon Inspector's."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Protocol

from pipeline.errors import PipelineError
from pipeline.settings import Policy, Severity

SEVERITIES: tuple[Severity, ...] = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
UNDER_WAY = ("PENDING", "IN_PROGRESS")
ENDED = ("COMPLETE", "ACTIVE")  # ACTIVE: Amazon Inspector looks again whenever it learns something new
# Statuses that stay as they are until somebody does something about it: status → what.
NEVER: Mapping[str, str] = {
    "UNSUPPORTED_IMAGE": "Base the image on a system that the scanner knows; Amazon Inspector's (enhanced scanning) "
    "knows more than ECR's own.",
    "IMAGE_SIZE_EXCEEDED": "Make the image smaller.",
    "SCAN_ELIGIBILITY_EXPIRED": "Raise Amazon Inspector's rescan duration for ECR.",
    "IMAGE_ARCHIVED": "Take the image out of ECR's archive: aws ecr update-image-storage-class.",
}
NONE_KNOWN = "the registry has not scanned this image"
# Words of our own: the registry did not say, and will not say; or it may if it is asked again.
UNREAD, BUSY = "UNREAD", "BUSY"
# A registry that scans says so within seconds of the push; one that does not never will.
GRACE_SECONDS = 4.0
POLL_SECONDS = 1.0
AT_ONCE = 8  # requests; boto3's connection pool has ten


@dataclass(frozen=True)
class Scan:
    """The registry's scan of one image.

    Attributes:
        status: How far it is, in ECR's words; "" when the registry knows of none.
        severities: What it found: severity → how many.
        description: The registry's sentence about the status.
        result: It has a result, be it that nothing was found. An enhanced scan says COMPLETE or ACTIVE seconds before.
        mend: What to do about it, where the registry's refusal tells.
    """

    status: str = ""
    severities: Mapping[str, int] = field(default_factory=dict)
    description: str = ""
    result: bool = True
    mend: str = ""


@dataclass(frozen=True)
class Scanned:
    """An image whose scan is asked for.

    Attributes:
        name: Its container.
        digest: Of the image itself, never of an index.
        platform: "" when it is for one platform only.
        grace: Seconds in which a scan that the registry does not know of may still begin; 0 when no news is awaited.
    """

    name: str
    digest: str
    platform: str = ""
    grace: float = 0


class BusyError(PipelineError):
    """The registry does not say now: it is asked too much, or has a fault of its own."""


class Scanner(Protocol):
    """The port: the registry's scans. Every method raises PipelineError when the registry does not say."""

    def parts(self, name: str, digest: str) -> Mapping[str, str]:
        """Platform → digest, of the images that a container's index joins: no scanner looks into an index."""

    def scan(self, name: str, digest: str) -> Scan:
        """How far the scan of a container's image is, and what it found."""


def grace(policy: Policy, seconds: float, *, pushed_now: bool) -> float:
    """How long to wait for the first sign of a scan.

    | policy | just pushed | there before |
    | --- | --- | --- |
    | `warn` | 4 s | not at all |
    | `deny` | as long as for its end | 4 s |

    Args:
        policy: What findings mean.
        seconds: How long to wait for the end of a scan.
        pushed_now: This very build has pushed it.
    """
    if policy == "deny":
        return seconds if pushed_now else min(GRACE_SECONDS, seconds)
    return min(GRACE_SECONDS, seconds) if pushed_now else 0


def scans(
    images: Sequence[Scanned],
    ask: Callable[[Scanned], Scan],
    seconds: float,
    *,
    pause: Callable[[float], None] = sleep,
) -> dict[Scanned, Scan]:
    """Ask for the scans of images, and wait for those under way.

    | the registry says | asked again |
    | --- | --- |
    | PENDING, IN_PROGRESS; that it is busy | for `seconds` |
    | COMPLETE, ACTIVE, without a result | for `seconds`, if something new is awaited |
    | that it knows of no scan | for the image's grace |
    | anything else | no |

    Args:
        images: The images.
        ask: The scan of an image, asked for now.
        seconds: How long to wait at most.
        pause: Waits that many seconds.
    """

    def asked(image: Scanned) -> Scan:
        try:
            return ask(image)
        except PipelineError as error:
            return unread(error)

    started = monotonic()
    known: dict[Scanned, Scan] = {}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        waiting = list(images)
        while waiting:
            known.update(zip(waiting, threads.map(asked, waiting), strict=True))
            gone = monotonic() - started
            waiting = [image for image in waiting if gone < seconds and _may_change(image, known[image], gone)]
            if waiting:
                pause(POLL_SECONDS)
    return known


def unread(error: PipelineError) -> Scan:
    """The scan of which the registry does not say anything."""
    return Scan(BUSY if isinstance(error, BusyError) else UNREAD, description=error.what, mend=error.mend)


def verdict(scan: Scan, least: Severity, policy: Policy, seconds: float) -> tuple[str, bool]:
    """What there is to say of a scan, "" for nothing, and whether the image is denied.

    | status | said | under `deny` |
    | --- | --- | --- |
    | COMPLETE, ACTIVE | what it found at or above `least` | denied |
    | the same, but no result came | that, under `deny` only | passes: it may be how nothing found looks |
    | PENDING, IN_PROGRESS | it did not end in time | denied |
    | FAILED, or a word we do not know | the word, and the registry's sentence | denied |
    | the registry does not say | why | denied |
    | UNSUPPORTED_IMAGE and others of `NEVER` | the word, under `deny` only | denied |
    | none | that there is none, under `deny` only | denied |

    So under `deny` nothing passes that the registry has not scanned, in its own words; under `warn` a registry that
    does not scan is not told at each build.

    Args:
        scan: The scan.
        least: The lowest severity that counts.
        policy: `warn` or `deny`.
        seconds: How long its end was waited for.
    """
    what = _said(scan, least, seconds)
    if policy == "deny":
        return what, bool(what) and not _without_result(scan)
    return (what if scan.status and scan.status not in NEVER and not _without_result(scan) else ""), False


def mend_of(scan: Scan, digest: str) -> str:
    """What to do about a scan of which there is something to say."""
    unless = "Or let images.checks.scan be `warn`: under `deny` nothing passes unscanned."
    if not scan.status:
        return (
            "Turn scanning on (scan on push for the repository, or enhanced scanning for the registry), and have this "
            f"image scanned: aws ecr start-image-scan --repository-name … --image-id imageDigest={digest}. {unless}"
        )
    if scan.status in NEVER:
        return f"{NEVER[scan.status]} {unless}"
    if scan.status == UNREAD:
        return scan.mend
    if scan.status in (*UNDER_WAY, BUSY) or _without_result(scan):
        return "Run the command again, or wait longer: images.scan_seconds."
    if scan.status in ENDED:
        return "aws ecr describe-image-scan-findings names them; a newer base image is the usual mend."
    return "aws ecr describe-image-scan-findings may tell more; aws ecr start-image-scan has it scanned again."


def _said(scan: Scan, least: Severity, seconds: float) -> str:
    sentence = f": {scan.description}" if scan.description else ""
    if _without_result(scan):
        return f"the registry's scan told no result within {seconds:g} s: {scan.status}{sentence}"
    if scan.status in ENDED:
        counted = SEVERITIES[: SEVERITIES.index(least) + 1]
        found = ", ".join(f"{scan.severities[each]} {each}" for each in counted if scan.severities.get(each))
        return f"the registry's scan found {found}" if found else ""
    if scan.status in UNDER_WAY:
        return f"the registry's scan did not end within {seconds:g} s: {scan.status}"
    if scan.status in (UNREAD, BUSY):
        return f"the registry does not say what its scan found{sentence}"
    if scan.status in NEVER:
        return f"the registry does not scan this image: {scan.status}{sentence}"
    return f"the registry's scan has no result: {scan.status}{sentence}" if scan.status else NONE_KNOWN


def _may_change(image: Scanned, scan: Scan, gone: float) -> bool:
    if _without_result(scan):
        return image.grace > 0
    return scan.status in (*UNDER_WAY, BUSY) or (not scan.status and gone < image.grace)


def _without_result(scan: Scan) -> bool:
    return scan.status in ENDED and not scan.result
