"""Building an image: what is ordered, what can go wrong, and the one interface of all builders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import PipelineError
from pipeline.images.build_output import failed_step, known_cause, tells_something

LINES_SHOWN = 25

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """One image to build.

    Attributes:
        image: The full name it gets, with its tag.
        context: The folder with the Dockerfile.
        platform: `linux/amd64`.
        target: The stage, "" for the last.
        arguments: Build arguments.
        labels: Labels of the image.
        secrets: Id → file, of the build secrets the Dockerfile mounts.
        cache: An image in the registry whose layers may be used again, "" for none.
    """

    image: str
    context: Path
    platform: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    cache: str = ""


class BuildError(PipelineError):
    """The image did not build; `step` is the Dockerfile's step that failed, as the builder names it."""

    def __init__(self, lines: Sequence[str], image: str) -> None:
        self.step = failed_step(lines)
        self.lines = tuple(lines)
        tail = "\n".join(f"  {line}" for line in list(filter(tells_something, lines))[-LINES_SHOWN:])
        at = f" at: {self.step}" if self.step else ""
        cause = known_cause(lines)
        what = cause.what if cause else "its Dockerfile failed"
        super().__init__(f"the image did not build; {what}{at}\n{tail}", where=image, mend=cause.mend if cause else "")


class PushError(PipelineError):
    """The registry did not take the image; a registry has a tag only when it has all of the image."""

    def __init__(self, reason: str, image: str) -> None:
        cause = known_cause([reason])
        super().__init__(
            f"the image was not pushed: {f'{cause.what}: ' if cause else ''}{reason}",
            where=image,
            mend=cause.mend if cause else "Run the command again: what was pushed already is not pushed twice.",
        )


class Builder(Protocol):
    """The port."""

    @property
    def name(self) -> str:
        """For people: which builder this is."""

    def build(self, order: Order, say: Say) -> None:
        """Build an image into the engine's store. Raises BuildError."""

    def push(self, image: str, say: Say) -> None:
        """Push an image that was built. Raises PushError."""


def telling(say: Say) -> Say:
    """Says only the lines of a builder that tell something."""
    return lambda line: say(line) if tells_something(line) else None
