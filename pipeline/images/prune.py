"""Which images of the registry nobody needs any more, and why: a pure decision, and its execution.

ECR's lifecycle rules cannot know what releases reference, so they touch no image with a tag (`infra/registry.py`). This
can, because it is told.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.images.containers import PLATFORMS
from pipeline.images.content import TAG_LENGTH
from pipeline.images.job import joined_part_tag

# What no release records was built for a commit that was never released, or is an old cache. Nobody comes back to those
# after a quarter of a year; whoever does has the image built again.
KEPT_DAYS = 90

_PARTS = "|".join(re.escape(joined_part_tag("", platform)) for platform in PLATFORMS.values())
_OURS = re.compile(rf"(?P<whole>[0-9a-f]{{{TAG_LENGTH}}})({_PARTS})?")


@dataclass(frozen=True)
class Stored:
    """An image with a tag, as a container's repository has it.

    Attributes:
        digest: Of its manifest.
        tags: All its tags.
        size: Bytes, compressed; of an index the largest of its members.
        pushed: When it, or its latest tag, was pushed.
        pulled: When it was last pulled, as far as the registry knows.
        members: Digests of the images that it joins, when it is an index.
    """

    digest: str
    tags: tuple[str, ...]
    size: int
    pushed: datetime
    pulled: datetime | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """What becomes of one image, and why; `name` is its container."""

    name: str
    image: Stored
    goes: bool
    reason: str


@dataclass(frozen=True)
class PrunePlan:
    """A row for each image with a tag, by container, the latest first."""

    rows: tuple[Row, ...]

    @property
    def deletions(self) -> tuple[Row, ...]:
        """What goes."""
        return tuple(row for row in self.rows if row.goes)

    @property
    def freed(self) -> int:
        """Bytes of all that goes: at most, since images of one repository may share layers."""
        return sum(row.image.size for row in self.deletions if not row.image.members)


class ImageStore(Protocol):
    """The port: the registry's images. Both methods raise PipelineError when the registry cannot be asked."""

    def stored(self, name: str) -> Sequence[Stored]:
        """The images of a container that have a tag; () when it has no repository."""

    def delete(self, name: str, images: Sequence[Stored]) -> Mapping[str, str]:
        """Delete a container's images; digest → why, of those that the registry does not delete."""


def by_repository(references: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Repository → tag or digest → who needs it.

    The registry's host does not count: of two repositories with one name both are kept.

    Args:
        references: Image as a task definition names it, `HOST/REPOSITORY:TAG` or `…@DIGEST` → who needs it.
    """
    found: dict[str, dict[str, str]] = {}
    for image, who in references.items():
        name, _, digest = image.partition("@")
        path, colon, tag = name.partition("/")[2].rpartition(":")
        needed = found.setdefault(path if colon else tag, {})
        needed |= {each: who for each in ((tag if colon else ""), digest) if each}
    return found


def plan_prune(
    stored: Mapping[str, Sequence[Stored]],
    needed: Mapping[str, Mapping[str, str]],
    older_than: timedelta,
    now: datetime,
) -> PrunePlan:
    """Decide for every image; the first row of the table that is true counts.

    | the image | is kept |
    | --- | --- |
    | is needed, by its tag or digest | yes, by whom |
    | has a tag that is no content tag | yes: somebody else's |
    | is the latest of its container | yes: the next build takes layers from it, and reasons |
    | was pushed or pulled not longer ago than `older_than` | yes |
    | belongs to an image for several platforms that is kept | yes |
    | is anything else | no |

    `TAG-arm64`, a part of the image `TAG`, is needed where `TAG` is.

    Args:
        stored: Container → its images with a tag.
        needed: Container → tag or digest → who needs it.
        older_than: How long an image is kept that nobody needs.
        now: The time.
    """
    rows: list[Row] = []
    for name, images in stored.items():
        latest = _latest(images)
        kept = {image.digest: _kept(image, latest, needed.get(name, {}), older_than, now) for image in images}
        joined = {
            member: f"part of {image.tags[0]}, which is kept"
            for image in images
            if kept[image.digest]
            for member in image.members
        }
        for image in sorted(images, key=lambda image: (image.pushed, image.tags), reverse=True):
            reason = kept[image.digest] or joined.get(image.digest, "")
            rows.append(Row(name, image, not reason, reason or f"nothing references it; {_age(image, now)}"))
    return PrunePlan(tuple(rows))


def carry_out(plan: PrunePlan, store: ImageStore) -> dict[str, str]:
    """Delete what goes, and nothing else; digest → why, of what the registry does not delete.

    Raises:
        PipelineError: The registry cannot be asked; what is deleted by then stays deleted, and a re-run goes on.
    """
    failed: dict[str, str] = {}
    for name in dict.fromkeys(row.name for row in plan.deletions):
        failed |= store.delete(name, [row.image for row in plan.deletions if row.name == name])
    return failed


def _kept(image: Stored, latest: set[str], needed: Mapping[str, str], older_than: timedelta, now: datetime) -> str:
    """Why an image is kept for its own sake, "" when there is no reason."""
    for each in (image.digest, *image.tags, *_wholes([image])):
        if each in needed:
            return needed[each]
    if foreign := [tag for tag in image.tags if not _OURS.fullmatch(tag)]:
        return f"the tag {foreign[0]} is not the pipeline's"
    if _wholes([image]) & latest:
        return "the latest: the next build takes layers from it, and its reasons"
    used = max(image.pushed, image.pulled or image.pushed)
    return _age(image, now) if now - used <= older_than else ""


def _latest(images: Sequence[Stored]) -> set[str]:
    """The content tags that were pushed last; an image and its parts may be of the same second."""
    last = max((each.pushed for each in images), default=None)
    return _wholes(each for each in images if each.pushed == last)


def _wholes(images: Iterable[Stored]) -> set[str]:
    """The content tags of images and of parts of images."""
    found = (_OURS.fullmatch(tag) for image in images for tag in image.tags)
    return {match["whole"] for match in found if match}


def _age(image: Stored, now: datetime) -> str:
    pushed = f"pushed {(now - image.pushed).days} days ago"
    return f"{pushed}, pulled {(now - image.pulled).days} days ago" if image.pulled else pushed
