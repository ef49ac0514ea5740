"""The image registry ECR: by its API, and where that says too little by the registry's own protocol."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.images.image_index import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, image_index
from pipeline.images.inputs import Inputs
from pipeline.images.plan import Image, Published
from pipeline.images.record import LABEL, read_label
from pipeline.images.registry import Login

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

AT_ONCE = 8  # requests; boto3's connection pool has ten
PAGE = 1000  # DescribeImages' largest page
NAMES_AT_ONCE = 100  # DescribeRepositories' limit
SECONDS = 30

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ACCEPTED = f"{OCI_INDEX}, {DOCKER_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"


class EcrRegistry:
    """ECR. For N containers that are up to date: N + 1 requests; for each that is not, 2 more, and 1 to log in.

    Args:
        session: Whose credentials, and the region.
        repository: Container → the name of its repository.
    """

    def __init__(self, session: boto3.Session, repository: Callable[[str], str]) -> None:
        self._ecr: ECRClient = session.client("ecr")
        self._repository = repository
        self._login: Login | None = None

    def published(self, names: Sequence[str]) -> Mapping[str, Published]:
        """One request for all repositories, then one for the images of each."""
        if not names:
            return {}
        with _asking("the registry"), ThreadPoolExecutor(AT_ONCE) as threads:
            uris = self._uris([self._repository(name) for name in names])
            return dict(zip(names, threads.map(lambda name: self._published(name, uris), names), strict=True))

    def recorded(self, name: str, published: Published) -> Inputs | None:
        """Manifest, then configuration, by the registry's own protocol: ECR's API has no shorter way to a label."""
        if not published.newest:
            return None
        repository = self._repository(name)
        with _asking(repository):
            manifest = self._get(repository, f"manifests/{published.newest}")
            if "manifests" in manifest:
                manifest = self._get(repository, f"manifests/{manifest['manifests'][0]['digest']}")
            settings = self._get(repository, f"blobs/{manifest['config']['digest']}")
        labels = settings.get("config", {}).get("Labels") or {}
        return read_label(labels.get(LABEL, ""))

    def image(self, name: str, tag: str) -> Image | None:
        """One DescribeImages request."""
        repository = self._repository(name)
        with _asking(repository):
            try:
                details = self._ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
            except self._ecr.exceptions.ImageNotFoundException:
                return None
        return _image(details["imageDetails"][0])

    def join(self, name: str, tag: str, parts: Mapping[str, str]) -> bool:
        """The parts' manifests in one BatchGetImage, then one PutImage of an image index (OCI image spec)."""
        repository = self._repository(name)
        with _asking(repository):
            found = self._ecr.batch_get_image(
                repositoryName=repository,
                imageIds=[{"imageTag": part} for part in parts.values()],
                acceptedMediaTypes=[DOCKER_MANIFEST, OCI_MANIFEST],
            )
            manifests = {each["imageId"]["imageTag"]: each for each in found["images"]}
            if absent := [part for part in parts.values() if part not in manifests]:
                raise PipelineError(f"the registry does not have the part {absent[0]} of the image", where=repository)
            members = {platform: manifests[part]["imageManifest"] for platform, part in parts.items()}
            try:
                self._ecr.put_image(
                    repositoryName=repository,
                    imageManifest=image_index(members),
                    imageManifestMediaType=OCI_INDEX,
                    imageTag=tag,
                )
            except (
                self._ecr.exceptions.ImageAlreadyExistsException,
                self._ecr.exceptions.ImageTagAlreadyExistsException,
            ):
                return False
        return True

    def login(self) -> Login:
        """GetAuthorizationToken, once; a token is good for 12 hours."""
        if self._login is None:
            with _asking("the registry"):
                given = self._ecr.get_authorization_token()["authorizationData"][0]
            username, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
            endpoint = given["proxyEndpoint"].rstrip("/")
            self._login = Login(endpoint.partition("://")[2], endpoint, username, password)
        return self._login

    def _uris(self, repositories: Sequence[str]) -> dict[str, str]:
        """Repository → address, of those that exist."""
        uris = {}
        for start in range(0, len(repositories), NAMES_AT_ONCE):
            some = repositories[start : start + NAMES_AT_ONCE]
            try:
                found = self._ecr.describe_repositories(repositoryNames=list(some))["repositories"]
            except self._ecr.exceptions.RepositoryNotFoundException:
                # One that is missing spoils the answer for all. Rare: only before a new container's first deployment.
                found = [each for name in some for each in self._one_repository(name)]
            uris.update({each["repositoryName"]: each["repositoryUri"] for each in found})
        return uris

    def _one_repository(self, name: str) -> Sequence[Any]:
        try:
            return self._ecr.describe_repositories(repositoryNames=[name])["repositories"]
        except self._ecr.exceptions.RepositoryNotFoundException:
            return ()

    def _published(self, name: str, uris: Mapping[str, str]) -> Published:
        repository = self._repository(name)
        if repository not in uris:
            return Published("", {})
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=repository, filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": PAGE}
        )
        details = [detail for page in pages for detail in page["imageDetails"]]
        images = {tag: _image(detail) for detail in details for tag in detail.get("imageTags", [])}
        newest = max(details, key=lambda detail: detail.get("imagePushedAt", _LONG_AGO), default=None)
        # A part of an image for several platforms, `TAG-arm64`, is not the image.
        tags = sorted(newest.get("imageTags", []), key=len) if newest else []
        whole = tags[0].partition("-")[0] if tags else ""
        return Published(uris[repository], images, newest=whole if whole in images else next(iter(tags), ""))

    def _get(self, repository: str, what: str) -> dict[str, Any]:
        login = self.login()
        request = urllib.request.Request(f"{login.endpoint}/v2/{repository}/{what}", headers={"Accept": _ACCEPTED})  # noqa: S310 - the endpoint is ECR's
        # Blobs are redirected to S3, which refuses a request with two kinds of authorization: this one is not repeated.
        request.add_unredirected_header("Authorization", f"Basic {login.basic}")
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - see above
            document: dict[str, Any] = json.load(answer)
        return document


def _image(detail: "ImageDetailTypeDef") -> Image:
    summary = detail.get("imageScanFindingsSummary", {})
    return Image(
        detail["imageDigest"],
        detail.get("imageSizeInBytes", 0),
        scan=detail.get("imageScanStatus", {}).get("status", ""),
        severities={str(severity): count for severity, count in summary.get("findingSeverityCounts", {}).items()},
    )


@contextmanager
def _asking(where: str) -> Iterator[None]:
    """Whatever goes wrong between us and the registry ends as a sentence."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        mend = "Log in to AWS again." if "Expired" in code or "Unrecognized" in code else ""
        raise PipelineError(f"the registry refuses: {error}", where=where, mend=mend) from None
    except (BotoCoreError, urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise PipelineError(f"the registry cannot be asked: {error}", where=where) from None
