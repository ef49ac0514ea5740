"""What a registry holds, read from its own storage: its API lists no untagged images, and cannot remove a tag.

The layout below `docker/registry/v2` is distribution's (registry/storage/paths.go):

    repositories/NAME/_manifests/tags/TAG/current/link       the digest a tag points at; its time is when it was pushed
    repositories/NAME/_manifests/revisions/sha256/HEX/link   every manifest of the repository
    repositories/NAME/_layers/sha256/HEX/link                every blob it may serve
    blobs/sha256/HE/HEX/data                                 the content, shared by all repositories
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class StoredImage:
    """An image of a repository.

    Attributes:
        digest: Of its manifest.
        tags: The tags that point at it, sorted.
        media_type: Of its manifest.
        artifact_type: Media type of its configuration; "" for an index of images.
        size: Bytes of its compressed layers and configuration; for an index, of its largest image.
        pushed_at: When it, or its latest tag, was pushed.
    """

    digest: str
    tags: tuple[str, ...]
    media_type: str
    artifact_type: str
    size: int
    pushed_at: datetime


class RegistryStorage:
    """The storage of a registry whose root directory is `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = root / "docker/registry/v2"

    def images(self, repository: str) -> list[StoredImage]:
        """All images, the latest pushed first."""
        tags = self.tags(repository)
        revisions = self._repository(repository) / "_manifests/revisions/sha256"
        found = []
        for link in revisions.glob("*/link"):
            digest = f"sha256:{link.parent.name}"
            own = sorted(tag for tag, target in tags.items() if target == digest)
            manifest = self.manifest(repository, digest)
            if manifest is not None:
                pushed = max([link.stat().st_mtime, *(self._tag_link(repository, tag).stat().st_mtime for tag in own)])
                found.append(self._image(repository, digest, own, manifest, datetime.fromtimestamp(pushed, UTC)))
        return sorted(found, key=lambda image: (image.pushed_at, image.digest), reverse=True)

    def tags(self, repository: str) -> dict[str, str]:
        """Tag → digest, sorted by tag."""
        folder = self._repository(repository) / "_manifests/tags"
        links = sorted(folder.glob("*/current/link"))
        return {link.parent.parent.name: link.read_text(encoding="ascii").strip() for link in links}

    def manifest(self, repository: str, digest: str) -> bytes | None:
        """The manifest, as it was pushed; None when the repository has none of that digest."""
        _require(DIGEST, digest)
        link = self._repository(repository) / "_manifests/revisions" / digest.replace(":", "/") / "link"
        blob = self._blob(digest)
        return blob.read_bytes() if link.exists() and blob.exists() else None

    def layer_size(self, repository: str, digest: str) -> int | None:
        """Bytes of a blob that the repository may serve, None for any other."""
        _require(DIGEST, digest)
        link = self._repository(repository) / "_layers" / digest.replace(":", "/") / "link"
        blob = self._blob(digest)
        return blob.stat().st_size if link.exists() and blob.exists() else None

    def delete_tag(self, repository: str, tag: str) -> None:
        """Remove a tag; the image stays."""
        _require(TAG, tag)
        shutil.rmtree(self._repository(repository) / "_manifests/tags" / tag)

    def delete_image(self, repository: str, digest: str) -> None:
        """Remove an image and all its tags."""
        _require(DIGEST, digest)
        for tag, target in self.tags(repository).items():
            if target == digest:
                self.delete_tag(repository, tag)
        shutil.rmtree(self._repository(repository) / "_manifests/revisions" / digest.replace(":", "/"))

    def delete_repository(self, repository: str) -> None:
        """Remove all images; repositories whose names go on after this one's are others, and stay."""
        for part in ("_manifests", "_layers", "_uploads"):
            shutil.rmtree(self._repository(repository) / part, ignore_errors=True)

    def _image(self, repository: str, digest: str, tags: list[str], manifest: bytes, pushed: datetime) -> StoredImage:
        document: dict[str, Any] = json.loads(manifest)
        config: Mapping[str, Any] = document.get("config", {})
        return StoredImage(
            digest=digest,
            tags=tuple(tags),
            media_type=media_type(document),
            artifact_type=document.get("artifactType") or config.get("mediaType", ""),
            size=self._size(repository, document),
            pushed_at=pushed,
        )

    def _size(self, repository: str, document: Mapping[str, Any]) -> int:
        if "manifests" not in document:
            return sum(part["size"] for part in [document.get("config", {"size": 0}), *document.get("layers", [])])
        children = [self.manifest(repository, child["digest"]) for child in document["manifests"]]
        return max((self._size(repository, json.loads(child)) for child in children if child), default=0)

    def _repository(self, name: str) -> Path:
        if any(part in {"", ".", ".."} for part in name.split("/")):
            raise ValueError(f"{name!r} is not the name of a repository")
        return self._base / "repositories" / name

    def _tag_link(self, repository: str, tag: str) -> Path:
        return self._repository(repository) / "_manifests/tags" / tag / "current/link"

    def _blob(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return self._base / "blobs" / algorithm / value[:2] / value / "data"


def media_type(manifest: Mapping[str, Any]) -> str:
    """A manifest's media type; OCI lets it leave the member out."""
    return str(manifest.get("mediaType") or (OCI_INDEX if "manifests" in manifest else OCI_MANIFEST))


def _require(pattern: re.Pattern[str], text: str) -> None:
    """Tags and digests become paths."""
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} does not match {pattern.pattern}")
