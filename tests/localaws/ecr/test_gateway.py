"""What ECR enforces in front of the registry."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.localaws.ecr.tokens import Tokens
from pipeline.localaws.region import LocalRegion
from tests.localaws.ecr.conftest import DOCKER_MANIFEST, Registry

PUSHES = 150  # beside the questions


def _error(answer: bytes) -> tuple[str, str]:
    (error,) = json.loads(answer)["errors"]
    return error["code"], error["message"]


def test_without_a_token_docker_is_asked_for_one(region: LocalRegion) -> None:
    status, headers, answer = Registry(region).request("GET", "/v2/")
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Basic ")
    assert _error(answer)[0] == "UNAUTHORIZED"


def test_a_wrong_password_is_refused(region: LocalRegion) -> None:
    assert Registry(region, password="guess").request("GET", "/v2/")[0] == 401


def test_an_expired_token_says_so(region: LocalRegion) -> None:
    password, _ = Tokens(region.folder / "ecr" / "token.key").issue(datetime.now(UTC) - timedelta(hours=13))
    status, _, answer = Registry(region, password=password).request("GET", "/v2/")
    assert (status, _error(answer)[0]) == (403, "DENIED")


def test_a_token_opens_the_registry(registry: Registry) -> None:
    assert registry.request("GET", "/v2/")[0] == 200


def test_a_repository_that_does_not_exist_takes_nothing(registry: Registry) -> None:
    status, _, answer = registry.request("POST", "/v2/no/such/blobs/uploads/", b"")
    assert status == 404
    assert _error(answer) == (
        "NAME_UNKNOWN",
        "The repository with name 'no/such' does not exist in the registry with id '123456789012'",
    )


def test_an_image_comes_back_as_it_was_pushed(registry: Registry, repository: str) -> None:
    layer = os.urandom(3 * 1024 * 1024 + 17)
    status, digest, _ = registry.push(repository, "v1", layer)
    assert status == 201
    accept = {"Accept": DOCKER_MANIFEST}
    status, headers, manifest = registry.request("GET", f"/v2/{repository}/manifests/v1", headers=accept)
    assert (status, headers["Docker-Content-Digest"]) == (200, digest)
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == digest
    blob = json.loads(manifest)["layers"][0]["digest"]
    assert registry.request("GET", f"/v2/{repository}/blobs/{blob}")[2] == layer


def test_a_part_of_a_blob_can_be_asked_for(registry: Registry, repository: str) -> None:
    digest = registry.push_blob(repository, b"0123456789")
    part = {"Range": "bytes=2-5"}
    status, headers, body = registry.request("GET", f"/v2/{repository}/blobs/{digest}", headers=part)
    assert (status, body) == (206, b"2345")
    assert headers["Content-Range"] == "bytes 2-5/10"


def test_head_tells_the_size_without_the_content(registry: Registry, repository: str) -> None:
    digest = registry.push_blob(repository, b"0123456789")
    status, headers, body = registry.request("HEAD", f"/v2/{repository}/blobs/{digest}")
    assert (status, headers["Content-Length"], body) == (200, "10", b"")


def test_an_immutable_tag_is_not_pushed_twice_not_even_the_same_image(registry: Registry, repository: str) -> None:
    assert registry.push(repository, "v1", b"one")[0] == 201
    for layer in (b"two", b"one"):
        status, _, answer = registry.push(repository, "v1", layer)
        assert status == 400
        code, message = _error(answer)
        assert code == "TAG_INVALID"
        assert message.startswith(f"The image tag 'v1' already exists in the '{repository}' repository")
        assert message.endswith("cannot be overwritten because the tag is immutable.")
    assert registry.push(repository, "v2", b"two")[0] == 201


def test_a_mutable_tag_moves(region: LocalRegion, registry: Registry, repository: str) -> None:
    region.client("ecr").put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    assert registry.push(repository, "v1", b"one")[0] == 201
    status, digest, _ = registry.push(repository, "v1", b"two")
    assert status == 201
    (tagged,) = region.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])[
        "imageDetails"
    ]
    assert tagged["imageDigest"] == digest


def test_a_blob_is_there_for_one_push_while_another_pushes_it_again(registry: Registry, repository: str) -> None:
    digest = registry.push_blob(repository, b"0123456789")
    with ThreadPoolExecutor(2) as threads:
        again = threads.submit(lambda: [registry.push_blob(repository, b"0123456789") for _ in range(PUSHES)])
        asked = []
        while not again.done():
            asked.append(registry.request("HEAD", f"/v2/{repository}/blobs/{digest}")[0])
    assert again.result() == [digest] * PUSHES
    assert set(asked) == {200}


def test_a_manifest_is_not_deleted_past_ecr(registry: Registry, repository: str) -> None:
    _, digest, _ = registry.push(repository, "v1", b"one")
    assert registry.request("DELETE", f"/v2/{repository}/manifests/{digest}")[0] == 405


def test_nothing_outside_the_registrys_own_paths_is_answered(registry: Registry, tmp_path: Path) -> None:
    assert registry.request("GET", "/v2/_catalog")[0] == 404
    assert registry.request("GET", "/v2/../../etc/manifests/passwd")[0] == 404
    assert list(tmp_path.glob("**/passwd")) == []
