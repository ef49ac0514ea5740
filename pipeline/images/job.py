"""What building one image takes: the images to make, one for each platform, and the names they get in the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.images.builder import Order
from pipeline.images.containers import Container
from pipeline.images.dockerfile import BASE_ARGUMENT, is_our_base
from pipeline.images.dockerfile_syntax import expanded
from pipeline.images.inputs import Inputs
from pipeline.images.plan import Rebuild
from pipeline.images.record import LABEL, label


@dataclass(frozen=True)
class Origin:
    """Where the sources come from, for the images' labels.

    Attributes:
        source: Address of the repository, "" when unknown.
        revision: The commit, "" when unknown.
        revisions: Container → commit, of those whose commit is another.
    """

    source: str = ""
    revision: str = ""
    revisions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """The image for one platform.

    Attributes:
        platform: `linux/amd64`.
        tag: Its own tag; the content tag itself when the image is for one platform only.
        image: The full name to push to.
        base_image: The full name of its base, "" when that is not one of ours.
        base_digest: The digest of that, "" when the registry did not have it yet.
        cache: The full name of an earlier image of the container, "" when there is none.
        published: The registry has it already, from a build that was cut short.
    """

    platform: str
    tag: str
    image: str
    base_image: str = ""
    base_digest: str = ""
    cache: str = ""
    published: bool = False


@dataclass(frozen=True)
class Job:
    """All that building one image takes.

    Attributes:
        container: The container.
        inputs: What the image is made of, as planned.
        verdict: The plan's verdict.
        parts: The images to make; more than one are joined under the content tag at the end.
    """

    container: Container
    inputs: Inputs
    verdict: Rebuild
    parts: tuple[Part, ...]


def part_tag(tag: str, platform: str, platforms: tuple[str, ...]) -> str:
    """The tag of an image's part: `TAG` when there is but one, else as `joined_part_tag`."""
    return tag if len(platforms) == 1 else joined_part_tag(tag, platform)


def joined_part_tag(tag: str, platform: str) -> str:
    """The tag of the part of an image for several platforms: `TAG-arm64`."""
    return f"{tag}-{platform.partition('/')[2].replace('/', '-')}"


def order(job: Job, part: Part, context: Path, *, origin: Origin, secrets: Mapping[str, Path], now: datetime) -> Order:
    """What the builder is told to build.

    Args:
        job: The image.
        part: The platform's.
        context: The folder with the build context.
        origin: For the labels.
        secrets: Id → file of all build secrets; the Dockerfile gets those it mounts.
        now: When it is built, for the labels.
    """
    mounted = job.container.dockerfile().secrets
    return Order(
        part.image,
        context,
        part.platform,
        job.container.target,
        arguments(job.container, _exactly(part)),
        _labels(job, part, origin, now),
        {name: file for name, file in sorted(secrets.items()) if name in mounted},
        part.cache,
    )


def arguments(container: Container, base_image: str) -> dict[str, str]:
    """The build arguments: the team's own, and the base's address."""
    return {**container.arguments, **({BASE_ARGUMENT: base_image} if base_image else {})}


def _exactly(part: Part) -> str:
    """The base by its digest, where the registry has told it: an engine's own copy of a tag may be another image."""
    if not (part.base_image and part.base_digest):
        return part.base_image
    return f"{part.base_image.rpartition(':')[0]}@{part.base_digest}"


def _labels(job: Job, part: Part, origin: Origin, now: datetime) -> dict[str, str]:
    """Standard annotations (OCI image spec, annotations), and the inputs for the next plan's reasons."""
    name, digest = _base(job.container, part)
    # All of them, even empty: what is not set would be inherited from the base, and be wrong.
    return {
        "org.opencontainers.image.title": job.container.name,
        "org.opencontainers.image.created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "org.opencontainers.image.revision": origin.revisions.get(job.container.name, origin.revision),
        "org.opencontainers.image.source": origin.source,
        "org.opencontainers.image.version": job.verdict.tag,
        "org.opencontainers.image.base.name": name,
        "org.opencontainers.image.base.digest": digest,
        LABEL: label(job.inputs) or "",
    }


def _base(container: Container, part: Part) -> tuple[str, str]:
    """Name and digest of the image that the target stage goes back to; an earlier stage may start from another."""
    dockerfile = container.dockerfile()
    written = dockerfile.base_of(container.target)
    if is_our_base(written):
        return part.base_image, part.base_digest
    name, _, digest = expanded(written, dockerfile.values(container.arguments)).partition("@")
    return name, digest
