"""A server with ECR and its registry, and a small client of the registry API: what Docker does, without an engine."""

import base64
import hashlib
import json
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.region import LocalRegion
from tests.localaws.conftest import Serve

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Registry:
    """The registry API of a region, as `docker push` and `docker pull` use it."""

    region: LocalRegion
    password: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def login(self) -> "Registry":
        (data,) = self.region.client("ecr").get_authorization_token()["authorizationData"]
        self.password = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
        return self

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        url = path if path.startswith("http") else self.region.endpoint + path
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})  # noqa: S310 - our own
        if self.password is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"AWS:{self.password}".encode()).decode())
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def push_blob(self, repository: str, content: bytes) -> str:
        """In two chunks, as Docker may: POST, PATCH, PATCH, PUT."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        status, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert status == 202, status
        middle = len(content) // 2
        for part in (content[:middle], content[middle:]):
            octets = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
            status, headers, _ = self.request("PATCH", headers["Location"], iter([part]), octets)
            assert status == 202, status
        separator = "&" if "?" in headers["Location"] else "?"
        status, _, answer = self.request("PUT", f"{headers['Location']}{separator}digest={digest}", b"")
        assert status == 201, answer
        return digest

    def push(self, repository: str, tag: str, layer: bytes) -> tuple[int, str, bytes]:
        """Push an image of one layer: (status, digest, the registry's answer)."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": self.push_blob(repository, config.encode()),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(layer),
                        "digest": self.push_blob(repository, layer),
                    }
                ],
            }
        ).encode()
        kind = {"Content-Type": DOCKER_MANIFEST}
        status, _, answer = self.request("PUT", f"/v2/{repository}/manifests/{tag}", manifest, kind)
        return status, f"sha256:{hashlib.sha256(manifest).hexdigest()}", answer


@pytest.fixture
def region(serve: Serve) -> LocalRegion:
    """A server with ECR."""
    services: list[Ecr] = []

    def make(region: LocalRegion) -> list[Ecr]:
        services.append(Ecr(region))
        return services

    return serve(make, mounts=lambda _: services[0].mounts)


@pytest.fixture
def registry(region: LocalRegion) -> Registry:
    """Its registry, logged in."""
    return Registry(region).login()


@pytest.fixture
def repository(region: LocalRegion) -> str:
    """An immutable repository. Moto keeps its repositories for the life of the process, so the name is fresh."""
    name = f"etl/{uuid.uuid4().hex}"
    region.client("ecr").create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    return name
