"""Ask registries for the digests of base images, and write them into the Dockerfiles."""

from collections.abc import Iterator, Sequence

import docker

from pipeline.errors import PipelineError
from pipeline.images.checks.pinning import pinned, references
from pipeline.images.containers import DOCKERFILE, Container
from pipeline.images.engine import ENGINE_ERRORS


def pin_all(client: docker.DockerClient, containers: Sequence[Container], *, update: bool) -> Iterator[str]:
    """Pin the base images of containers; a line for each reference.

    All digests are asked for before the first file is written.

    Args:
        client: The engine asks the registries: it has their log-ins, mirrors and proxies.
        containers: Whose Dockerfiles.
        update: Those that are pinned, too.

    Raises:
        PipelineError: A registry does not answer, or does not have the image.
    """
    wanted = {
        container.name: [each for each in references(container.dockerfile()) if update or not each.pinned]
        for container in containers
    }
    names = sorted({each.name for found in wanted.values() for each in found if not each.variable})
    digests = {name: _digest(client, name) for name in names}
    for container in containers:
        path = container.folder / DOCKERFILE
        changes = {}
        for each in wanted[container.name]:
            if each.variable:
                yield f"{path}: {each.written} is left as it is: a build argument decides what it is"
            elif each.written != (new := f"{each.name}@{digests[each.name]}"):
                changes[each.written] = digests[each.name]
                yield f"{path}: {each.written} → {new}"
        if changes:
            raw = path.read_bytes().decode("utf-8", "surrogateescape")
            path.write_bytes(pinned(raw, changes).encode("utf-8", "surrogateescape"))


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
