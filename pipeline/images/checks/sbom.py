"""An SBOM of an image: its packages as a CycloneDX document (ECMA-424, version 1.6), by CycloneDX's own library."""

import io
import tarfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import docker
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from pipeline.errors import PipelineError
from pipeline.images.checks.packages import Contents, Package, contents
from pipeline.images.engine import ENGINE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE = "packages of dpkg, apk and Python; nothing that was compiled or copied in without them"


def contents_of(client: docker.DockerClient, image: str) -> Contents:
    """The packages of an image in the engine's store; nothing in it is run.

    Raises:
        PipelineError: The engine does not give it, or its packages are in a database that is not read.
    """
    try:
        with _file_system(client, image) as archive:
            return contents(archive)
    except (*ENGINE_ERRORS, tarfile.TarError) as error:  # a stream that ends early is no archive
        raise PipelineError(f"the image's contents cannot be read: {error}", where=image) from None


def document(name: str, tag: str, platform: str, found: Contents) -> str:
    """The document, as JSON.

    Args:
        name: The image's repository.
        tag: Its content tag.
        platform: `linux/amd64`.
        found: Its packages.
    """
    bom = Bom()
    bom.metadata.component = Component(type=ComponentType.CONTAINER, name=name, version=tag, bom_ref=f"{name}:{tag}")
    bom.metadata.properties.update(
        {Property(name="pipeline:platform", value=platform), Property(name="pipeline:scope", value=SCOPE)}
    )
    components = [_component(package, found.system) for package in found.packages]
    bom.components.update(components)
    bom.register_dependency(bom.metadata.component, components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def write(folder: Path, name: str, platform: str, text: str) -> Path:
    """Put a document into the folder of SBOMs: `NAME-amd64.cdx.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{platform.partition('/')[2].replace('/', '-')}.cdx.json"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _component(package: Package, system: str) -> Component:
    qualifiers = {"arch": package.architecture, "distro": system if package.kind != "pypi" else ""}
    purl = PackageURL(
        type=package.kind,
        namespace=(system.partition("-")[0] or None) if package.kind != "pypi" else None,
        name=package.name,
        version=package.version,
        qualifiers={key: value for key, value in qualifiers.items() if value},
    )
    kind = ComponentType.LIBRARY
    return Component(type=kind, name=package.name, version=package.version, purl=purl, bom_ref=purl.to_string())


@contextmanager
def _file_system(client: docker.DockerClient, image: str) -> "Iterator[IO[bytes]]":
    """The file system of an image as a tar stream, from a container that is never started."""
    container = client.containers.create(image, ["none"], network_disabled=True)
    try:
        chunks: Any = container.export()  # bytes, whatever the stubs say
        yield io.BufferedReader(_Chunks(chunks))
    finally:
        container.remove(force=True, v=True)  # with the volumes its image asks for


class _Chunks(io.RawIOBase):
    """An iterable of bytes as a file, so that a large image is never in memory."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # all that BufferedReader gives
        """Fill a buffer as far as one chunk goes."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
