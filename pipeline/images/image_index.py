"""One tag for the images of several platforms: an image index (OCI image spec)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"


def image_index(manifests: Mapping[str, str]) -> str:
    """An image index of manifests, as the registry holds them, by platform; the same for the same manifests."""
    members = []
    for platform, text in sorted(manifests.items()):
        system, _, architecture = platform.partition("/")
        architecture, _, variant = architecture.partition("/")
        members.append(
            {
                "mediaType": json.loads(text).get("mediaType", OCI_MANIFEST),
                "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
                "size": len(text.encode()),
                "platform": {"architecture": architecture, "os": system} | ({"variant": variant} if variant else {}),
            }
        )
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}, indent=3)
