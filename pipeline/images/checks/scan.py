"""What the registry's own scan found in images: ECR's basic scan on push, or Amazon Inspector's."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep

from pipeline.images.plan import Image
from pipeline.settings import Severity

SEVERITIES: tuple[Severity, ...] = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
UNDER_WAY = ("PENDING", "IN_PROGRESS")
# A registry that scans says so within seconds of the push; one that does not never will.
GRACE_SECONDS = 4.0
POLL_SECONDS = 1.0


def serious(image: Image, least: Severity) -> str:
    """The findings that count, `2 CRITICAL, 1 HIGH`; "" when there are none.

    Args:
        image: As the registry describes it.
        least: The lowest severity that counts.
    """
    counted = SEVERITIES[: SEVERITIES.index(least) + 1]
    return ", ".join(f"{image.severities[each]} {each}" for each in counted if image.severities.get(each))


def scanned(
    images: Mapping[str, Image],
    ask: Callable[[str], Image | None],
    seconds: float,
    *,
    grace: float = GRACE_SECONDS,
    pause: Callable[[float], None] = sleep,
) -> dict[str, Image]:
    """Wait until the registry has scanned images that were just pushed, as long as it says that it does.

    Args:
        images: Container → image, as it was when it was pushed.
        ask: The image of a container, asked for now.
        seconds: How long to wait at most.
        grace: How long to wait for a first sign of a scan.
        pause: Waits that many seconds.
    """
    started = monotonic()
    known = dict(images)
    while waiting := _waiting(known, monotonic() - started < min(grace, seconds)):
        if monotonic() - started >= seconds:
            break
        pause(POLL_SECONDS)
        for name in waiting:
            known[name] = ask(name) or known[name]
    return known


def _waiting(known: Mapping[str, Image], silence_counts: bool) -> Sequence[str]:
    return [name for name, image in known.items() if image.scan in UNDER_WAY or (silence_counts and not image.scan)]
