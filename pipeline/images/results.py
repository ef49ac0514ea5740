"""What a build leaves for others: `images.json` and the summary of one line, however the build ended."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.images.checks.finding import Finding
from pipeline.images.outcome import Failed, Outcome
from pipeline.images.plan import Plan, UpToDate
from pipeline.images.report import images_document, summary


@dataclass(frozen=True)
class Results:
    """Where they are written.

    Attributes:
        images_file: `images.json`.
        summary_file: The summary; None for none.
        bases: The containers that run as no task.
    """

    images_file: Path
    summary_file: Path | None = None
    bases: Collection[str] = ()

    def write(self, outcomes: Sequence[Outcome], scans: Mapping[str, Sequence[Finding]]) -> str:
        """Write both, and give the text of `images.json`.

        Raises:
            PipelineError: A file cannot be written.
        """
        document = json.dumps(images_document(outcomes, scans, self.bases), indent=2)
        if self.summary_file is not None:
            _write(self.summary_file, summary(outcomes))
        _write(self.images_file, document)
        return document


def not_begun(plan: Plan, error: PipelineError) -> tuple[Outcome, ...]:
    """What came of a plan whose builds never began, for want of an engine, a login or a secret."""
    return tuple(
        each if isinstance(each, UpToDate) else Failed(each.name, each.tag, each.reason, error, 0)
        for each in plan.verdicts
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"the file cannot be written: {error.strerror}", where=str(path)) from None
