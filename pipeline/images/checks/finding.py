"""What a check found, and what that means for the image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import PipelineError
from pipeline.images.containers import Container


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: The check's name in cdk.json, `images.checks`.
        where: File and line, or the image.
        what: A sentence, without the secret if it is about one.
        denied: The policy is `deny`.
        mend: What to do.
    """

    check: str
    where: str
    what: str
    denied: bool
    mend: str = ""

    def __str__(self) -> str:
        """One line, as it stands in a log."""
        return f"{'error' if self.denied else 'warning'}: {self.where}: {self.what} [{self.check}]"


class Judge(Protocol):
    """The port: whoever looks at images while they are made."""

    def before(self, container: Container) -> tuple[Finding, ...]:
        """Findings about a container that is about to be built."""

    def built(self, container: Container, image: str, platform: str) -> tuple[Finding, ...]:
        """Findings about an image in the engine's store that is about to be pushed."""


def refuse(findings: Iterable[Finding]) -> None:
    """Let nothing pass that a policy denies.

    Raises:
        PipelineError: Names every denied finding.
    """
    denied = [finding for finding in findings if finding.denied]
    if denied:
        lines = [
            f"{each.where}: {each.what} [{each.check}]" + (f"\n  {each.mend}" if each.mend else "") for each in denied
        ]
        checks = ", ".join(sorted({each.check for each in denied}))
        raise PipelineError(
            "\n".join(lines),
            mend=f'What is denied is set in cdk.json, context.pipeline.images.checks: {checks} = "deny".',
        )
