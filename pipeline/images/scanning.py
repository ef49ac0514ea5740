"""The registry's scans of all images that are there, as findings; of older ones too: new ones come up with time."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.errors import PipelineError
from pipeline.images.checks.finding import Finding
from pipeline.images.checks.judging import Checks
from pipeline.images.checks.scan import Scan, Scanned, Scanner, grace, scans, unread
from pipeline.images.inputs import Inputs
from pipeline.images.outcome import Built, Outcome
from pipeline.images.plan import UpToDate
from pipeline.images.progress import Lines
from pipeline.settings import Images


def scan_findings(
    outcomes: Sequence[Outcome], inputs: Mapping[str, Inputs], scanner: Scanner, configured: Images, lines: Lines
) -> dict[str, tuple[Finding, ...]]:
    """Container → what the registry's scan says of its image.

    An image that is up to date is judged like one that was just built: else running again would lift a denial.

    Args:
        outcomes: What came of each image.
        inputs: Container → what its image is made of.
        scanner: The registry's.
        configured: The team's policies.
        lines: Progress.
    """
    if configured.checks.scan == "off":
        return {}
    images: list[Scanned] = []
    known: dict[Scanned, Scan] = {}
    for outcome in outcomes:
        if isinstance(outcome, Built | UpToDate):
            try:
                images += _images(outcome, inputs[outcome.name], scanner, configured)
            except PipelineError as error:
                known[Scanned(outcome.name, outcome.image.digest)] = unread(error)
    if images:
        lines.plain(f"asking for the registry's scans of {len(images)} images")
    known |= scans(images, lambda image: scanner.scan(image.name, image.digest), configured.scan_seconds)
    checks = Checks(configured)
    found: dict[str, tuple[Finding, ...]] = {}
    for image, scan in known.items():
        for finding in checks.scanned(image, scan):
            found[image.name] = (*found.get(image.name, ()), finding)
            lines.of(image.name, str(finding))
    return found


def _images(outcome: Built | UpToDate, inputs: Inputs, scanner: Scanner, configured: Images) -> Iterator[Scanned]:
    """The image, or each of those that are joined under its tag."""
    patience = grace(configured.checks.scan, configured.scan_seconds, pushed_now=isinstance(outcome, Built))
    if len(inputs.platforms) == 1:
        yield Scanned(outcome.name, outcome.image.digest, grace=patience)
        return
    for platform, digest in sorted(scanner.parts(outcome.name, outcome.image.digest).items()):
        yield Scanned(outcome.name, digest, platform, patience)
