"""The ECR API over a real registry, and the AWS CLI as its judge."""

import base64
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.conftest import free_port
from tests.localaws.ecr.conftest import DOCKER_MANIFEST, Registry


@pytest.fixture
def ecr(region: LocalRegion) -> Any:
    return region.client("ecr")


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_the_token_is_for_the_registry_of_this_region(region: LocalRegion, ecr: Any) -> None:
    (data,) = ecr.get_authorization_token()["authorizationData"]
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
    assert data["proxyEndpoint"] == region.endpoint
    assert timedelta(hours=11, minutes=59) < data["expiresAt"] - datetime.now(UTC) <= timedelta(hours=12)


def test_a_repositorys_uri_is_one_that_docker_here_can_push_to(region: LocalRegion, ecr: Any) -> None:
    name = f"etl/{uuid.uuid4().hex}"
    created = ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")["repository"]
    assert created["repositoryUri"] == f"{region.endpoint.removeprefix('http://')}/{name}"
    assert created["imageTagMutability"] == "IMMUTABLE"
    (described,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert described == created
    with pytest.raises(ClientError) as error:
        ecr.create_repository(repositoryName=name)
    assert _code(error) == "RepositoryAlreadyExistsException"


@pytest.mark.parametrize("operation", ["describe_images", "list_images", "delete_repository"])
def test_a_repository_that_does_not_exist_is_not_found(ecr: Any, operation: str) -> None:
    with pytest.raises(ClientError) as error:
        getattr(ecr, operation)(repositoryName="no/such")
    assert _code(error) == "RepositoryNotFoundException"


def test_an_image_is_described_as_the_registry_holds_it(ecr: Any, registry: Registry, repository: str) -> None:
    _, digest, _ = registry.push(repository, "v1", b"layer")
    (image,) = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"]
    (listed,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    manifest = json.loads(listed["imageManifest"])
    assert image["imageDigest"] == digest
    assert image["imageTags"] == ["v1"]
    assert image["imageSizeInBytes"] == len(b"layer") + manifest["config"]["size"]
    assert image["imageManifestMediaType"] == DOCKER_MANIFEST
    assert image["artifactMediaType"] == "application/vnd.docker.container.image.v1+json"
    assert abs(image["imagePushedAt"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_image_that_is_not_there_is_not_found(ecr: Any, repository: str) -> None:
    with pytest.raises(ClientError) as error:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert _code(error) == "ImageNotFoundException"
    assert "imageTag:'v1'" in str(error.value)
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]


def test_listings_come_in_pages(ecr: Any, registry: Registry, repository: str) -> None:
    for number in range(3):
        registry.push(repository, f"v{number}", b"%d" % number)
    pages = list(ecr.get_paginator("list_images").paginate(repositoryName=repository, PaginationConfig={"PageSize": 2}))
    assert [len(page["imageIds"]) for page in pages] == [2, 1]
    tags = {image["imageTag"] for page in pages for image in page["imageIds"]}
    assert tags == {"v0", "v1", "v2"}


def test_an_image_gets_another_tag_by_put_image(ecr: Any, registry: Registry, repository: str) -> None:
    _, digest, _ = registry.push(repository, "v1", b"layer")
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    put = ecr.put_image(repositoryName=repository, imageManifest=image["imageManifest"], imageTag="v2")["image"]
    assert put["imageId"] == {"imageDigest": digest, "imageTag": "v2"}
    (described,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert described["imageTags"] == ["v1", "v2"]
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=repository, imageManifest=image["imageManifest"], imageTag="v2")
    assert _code(error) == "ImageAlreadyExistsException"


def test_put_image_does_not_move_an_immutable_tag(ecr: Any, registry: Registry, repository: str) -> None:
    registry.push(repository, "v1", b"one")
    registry.push(repository, "v2", b"two")
    (two,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v2"}])["images"]
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=repository, imageManifest=two["imageManifest"], imageTag="v1")
    assert _code(error) == "ImageTagAlreadyExistsException"


def test_put_image_refuses_a_manifest_whose_layers_are_missing(ecr: Any, repository: str) -> None:
    part = {"mediaType": "application/octet-stream", "size": 1, "digest": f"sha256:{'0' * 64}"}
    manifest = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": part, "layers": [part]}
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag="v1")
    assert _code(error) == "LayersNotFoundException"
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=repository, imageManifest="no json", imageTag="v1")
    assert _code(error) == "InvalidParameterException"


def test_deleting_one_of_two_tags_keeps_the_image(ecr: Any, registry: Registry, repository: str) -> None:
    _, digest, _ = registry.push(repository, "v1", b"layer")
    registry.push(repository, "v2", b"layer")
    deleted = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}, {"imageTag": "v9"}])
    assert deleted["imageIds"] == [{"imageDigest": digest, "imageTag": "v1"}]
    assert [failure["failureCode"] for failure in deleted["failures"]] == ["ImageNotFound"]
    assert registry.request("GET", f"/v2/{repository}/manifests/v1")[0] == 404
    assert registry.request("HEAD", f"/v2/{repository}/manifests/v2", headers={"Accept": DOCKER_MANIFEST})[0] == 200


def test_an_image_goes_with_its_last_tag_and_the_tag_can_be_pushed_again(
    ecr: Any, registry: Registry, repository: str
) -> None:
    registry.push(repository, "v1", b"one")
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []
    assert registry.push(repository, "v1", b"two")[0] == 201


def test_an_image_is_deleted_by_digest_with_all_its_tags(ecr: Any, registry: Registry, repository: str) -> None:
    _, digest, _ = registry.push(repository, "v1", b"layer")
    registry.push(repository, "v2", b"layer")
    deleted = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageIds"]
    assert sorted(image["imageTag"] for image in deleted) == ["v1", "v2"]
    accept = {"Accept": DOCKER_MANIFEST}
    assert registry.request("GET", f"/v2/{repository}/manifests/{digest}", headers=accept)[0] == 404


def test_which_layers_are_here(ecr: Any, registry: Registry, repository: str) -> None:
    here, missing = registry.push_blob(repository, b"layer"), f"sha256:{'0' * 64}"
    answer = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[here, missing, "x"])
    (layer,) = answer["layers"]
    assert (layer["layerDigest"], layer["layerAvailability"], layer["layerSize"]) == (here, "AVAILABLE", 5)
    assert [each["failureCode"] for each in answer["failures"]] == ["MissingLayerDigest", "InvalidLayerDigest"]


def test_nothing_is_ever_said_to_be_scanned(ecr: Any, registry: Registry, repository: str) -> None:
    registry.push(repository, "v1", b"layer")
    with pytest.raises(ClientError) as error:
        ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "v1"})
    assert _code(error) == "ScanNotFoundException"
    with pytest.raises(ClientError) as error:
        ecr.start_image_scan(repositoryName=repository, imageId={"imageTag": "v1"})
    assert _code(error) == "NotImplementedException"


def test_layers_cannot_be_uploaded_to_a_store_that_is_not_the_registry(ecr: Any, repository: str) -> None:
    with pytest.raises(ClientError) as error:
        ecr.initiate_layer_upload(repositoryName=repository)
    assert _code(error) == "NotImplementedException"


def test_a_repository_with_images_is_deleted_only_by_force(ecr: Any, registry: Registry, repository: str) -> None:
    registry.push(repository, "v1", b"layer")
    with pytest.raises(ClientError) as error:
        ecr.delete_repository(repositoryName=repository)
    assert _code(error) == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_policies_and_tags_are_motos(ecr: Any, repository: str) -> None:
    policy = {"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan"}}]}
    policy["rules"][0]["selection"]["countNumber"] = 5  # type: ignore[index]
    policy["rules"][0]["action"] = {"type": "expire"}
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps(policy))
    stored = ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"]
    assert json.loads(stored) == policy
    arn = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]["repositoryArn"]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "b"}])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "b"}]


def test_images_outlive_the_server(tmp_path: Path) -> None:
    name = f"etl/{uuid.uuid4().hex}"
    digests: list[str] = []
    for _ in range(2):
        port = free_port()
        region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", tmp_path)
        service = Ecr(region)
        server = Server(LocalAws(region, [service], service.mounts), port)
        server.start()
        try:
            client = region.client("ecr")
            if not digests:
                client.create_repository(repositoryName=name)
                digests.append(Registry(region).login().push(name, "v1", b"layer")[1])
            else:
                (image,) = client.describe_images(repositoryName=name)["imageDetails"]
                digests.append(image["imageDigest"])
        finally:
            server.stop()
    assert digests[0] == digests[1]


@pytest.mark.docker
def test_docker_and_the_aws_cli_agree(
    region: LocalRegion, repository: str, docker_engine: Engine, tmp_path: Path
) -> None:
    variables = os.environ | region.environment()
    variables |= {"DOCKER_HOST": docker_engine.host, "DOCKER_CONFIG": str(tmp_path / "config")}

    def call(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=variables, check=False)

    aws = str(Path(sys.executable).parent / "aws")
    host = region.endpoint.removeprefix("http://")
    image = f"{host}/{repository}:v1"
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY data /\n")
    (folder / "data").write_bytes(os.urandom(2_000_000))

    password = call(aws, "ecr", "get-login-password").stdout
    assert call("docker", "login", "-u", "AWS", "--password-stdin", host, stdin=password).returncode == 0
    built = docker_engine.client.images.build(path=str(folder), tag=image)[0]
    pushed = call("docker", "push", image)
    assert pushed.returncode == 0, pushed.stderr
    again = call("docker", "push", image)
    assert again.returncode != 0
    assert "cannot be overwritten because the tag is immutable" in again.stderr

    docker_engine.client.images.remove(str(built.id), force=True)
    pulled = call("docker", "pull", image)
    assert pulled.returncode == 0, pulled.stderr
    (digest,) = docker_engine.client.images.get(image).attrs["RepoDigests"]
    query = ["--query", "imageDetails[0].imageDigest", "--output", "text"]
    described = call(aws, "ecr", "describe-images", "--repository-name", repository, *query).stdout.strip()
    assert digest.endswith(f"@{described}")
    docker_engine.client.images.remove(str(built.id), force=True)
