"""Ask registries for the digests of base images, and write them into the Dockerfiles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from pipeline.errors import PipelineError
from pipeline.images.checks.pinning import Reference, pinned, references
from pipeline.images.containers import DOCKERFILE, Container
from pipeline.images.dockerfile import parse
from pipeline.images.engine import ENGINE_ERRORS


@dataclass(frozen=True)
class Pin:
    """What became of one reference.

    Attributes:
        path: The Dockerfile.
        written: The reference as it stood there.
        new: What stands there now, "" when it was left as it is.
        reason: Why it was left.
    """

    path: Path
    written: str
    new: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.path}: {self.written} {f'→ {self.new}' if self.new else f'is left as it is: {self.reason}'}"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"where": str(self.path), "written": self.written, "new": self.new or None, "reason": self.reason}


def pin_all(client: docker.DockerClient, containers: Sequence[Container], *, update: bool) -> Iterator[Pin]:
    """Pin the base images of containers; what became of each reference.

    All digests are asked for before the first file is written.

    Args:
        client: The engine asks the registries: it has their log-ins, mirrors and proxies.
        containers: Whose Dockerfiles.
        update: Those that are pinned, too.

    Raises:
        PipelineError: A registry does not answer, or does not have the image; a Dockerfile cannot be written.
    """
    wanted = {
        container.name: [
            each for each in references(container.dockerfile(), container.arguments) if update or not each.pinned
        ]
        for container in containers
    }
    names = sorted({each.name for found in wanted.values() for each in found if not _left(each)})
    digests = {name: _digest(client, name) for name in names}
    for container in containers:
        path = container.folder / DOCKERFILE
        new = {each.written: f"{each.name}@{digests[each.name]}" for each in wanted[container.name] if not _left(each)}
        changes = {written: digests[image.partition("@")[0]] for written, image in new.items() if written != image}
        missed = _rewrite(path, changes) if changes else frozenset()
        for each in wanted[container.name]:
            if reason := _left(each):
                yield Pin(path, each.written, reason=reason)
            elif each.written in missed:
                yield Pin(
                    path, each.written, reason="it could not be told apart from what is around it; pin it by hand"
                )
            elif each.written in changes:
                yield Pin(path, each.written, new[each.written])


def _left(reference: Reference) -> str:
    """Why a reference is left as it is, "" when it is not.

    | written | left |
    | --- | --- |
    | with a build argument | its value is where the digest belongs |
    | `name@sha256:…` | without a tag it would become whatever is the newest |
    | anything else | no |
    """
    if reference.variable:
        return "a build argument decides what it is"
    if reference.pinned and not reference.tagged:
        return "it has no tag whose digest could be asked for"
    return ""


def _rewrite(path: Path, changes: Mapping[str, str]) -> frozenset[str]:
    """Write the digests into a Dockerfile; the references that are still there as they were."""
    try:
        text = pinned(path.read_bytes().decode("utf-8", "surrogateescape"), changes)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise PipelineError(
            f"the {DOCKERFILE} cannot be changed: {error.strerror}",
            where=str(path),
            mend="Make it writable, and run the command again.",
        ) from None
    return frozenset(changes) & {each.written for each in references(parse(text), {})}


def _digest(client: docker.DockerClient, name: str) -> str:
    try:
        # Of the index when the image is for several platforms, which is what FROM should name.
        digest = client.images.get_registry_data(name).id
    except ENGINE_ERRORS as error:
        raise PipelineError(
            f"the registry does not say what {name} is today: {error}",
            mend="Is it reachable from here, and is the name right? docker login, if it is a private one.",
        ) from None
    if digest is None:
        raise PipelineError(f"the registry does not say what {name} is today")
    return digest
