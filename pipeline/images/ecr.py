"""The image registry ECR."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws import LOG_IN
from pipeline.errors import PipelineError
from pipeline.images.image_index import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, image_index
from pipeline.images.plan import Image, Published
from pipeline.images.record import LABEL, Record, read_label
from pipeline.images.registry import AT_ONCE, Login
from pipeline.images.registry_label import image_label

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

PAGE = 1000  # DescribeImages' largest page
NAMES_AT_ONCE = 100  # DescribeRepositories' limit

# "The repository with name 'etl/x' does not exist in the registry with id '123456789012'"
_REGISTRY = re.compile(r"registry with id '(\d+)'")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class EcrRegistry:
    """ECR. For N containers that are up to date: N + 1 requests; for each that is not, 2 more, and 1 to log in.

    Args:
        session: Whose credentials, and the region.
        repository: Container → the name of its repository.
    """

    def __init__(self, session: boto3.Session, repository: Callable[[str], str]) -> None:
        with asking("the registry"):
            self._ecr: ECRClient = session.client("ecr")
        self._repository = repository
        self._login: Login | None = None
        self._logging_in = Lock()

    def published(self, names: Sequence[str]) -> Mapping[str, Published]:
        """One request for the images of each repository, then one for the addresses of all that exist.

        In this order, because one name that is missing spoils DescribeRepositories' answer for all.
        """
        repositories = {name: self._repository(name) for name in names}
        with asking("the registry"), ThreadPoolExecutor(AT_ONCE) as threads:
            details = dict(zip(names, threads.map(self._details, repositories.values()), strict=True))
            uris = self._uris([repositories[name] for name in names if not isinstance(details[name], str)])
        return {name: _published(uris.get(repositories[name], ""), details[name]) for name in names}

    def recorded(self, name: str, published: Published) -> Record | None:
        """The label of the newest image: three requests by the registry's own protocol."""
        if not published.newest:
            return None
        return read_label(image_label(self.login(), self._repository(name), published.newest, LABEL))

    def image(self, name: str, tag: str) -> Image | None:
        """One DescribeImages request."""
        repository = self._repository(name)
        with asking(repository):
            try:
                details = self._ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
            except self._ecr.exceptions.ImageNotFoundException:
                return None
        return _image(details["imageDetails"][0])

    def join(self, name: str, tag: str, parts: Mapping[str, str]) -> bool:
        """The parts' manifests in one BatchGetImage, then one PutImage of an image index (OCI image spec)."""
        repository = self._repository(name)
        with asking(repository):
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
        with self._logging_in:
            if self._login is None:
                with asking("the registry"):
                    given = self._ecr.get_authorization_token()["authorizationData"][0]
                username, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
                endpoint = given["proxyEndpoint"].rstrip("/")
                self._login = Login(endpoint.partition("://")[2], endpoint, username, password)
            return self._login

    def _uris(self, repositories: Sequence[str]) -> dict[str, str]:
        """Repository → address."""
        uris = {}
        for start in range(0, len(repositories), NAMES_AT_ONCE):
            some = repositories[start : start + NAMES_AT_ONCE]
            found = self._ecr.describe_repositories(repositoryNames=list(some))["repositories"]
            uris.update({each["repositoryName"]: each["repositoryUri"] for each in found})
        return uris

    def _details(self, repository: str) -> "list[ImageDetailTypeDef] | str":
        """The images of a repository that have a tag; when there is no such repository the account that has none."""
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=repository, filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": PAGE}
        )
        try:
            return [detail for page in pages for detail in page["imageDetails"]]
        except self._ecr.exceptions.RepositoryNotFoundException as error:
            found = _REGISTRY.search(str(error))
            return found[1] if found else ""


def _published(uri: str, details: "list[ImageDetailTypeDef] | str") -> Published:
    if isinstance(details, str):
        return Published("", {}, account=details)
    images = {tag: _image(detail) for detail in details for tag in detail.get("imageTags", [])}
    newest = max(details, key=lambda detail: detail.get("imagePushedAt", _LONG_AGO), default=None)
    # A part of an image for several platforms, `TAG-arm64`, is not the image.
    tags = sorted(newest.get("imageTags", []), key=len) if newest else []
    whole = tags[0].partition("-")[0] if tags else ""
    return Published(uri, images, newest=whole if whole in images else next(iter(tags), ""))


def _image(detail: "ImageDetailTypeDef") -> Image:
    return Image(detail["imageDigest"], detail.get("imageSizeInBytes", 0))


@contextmanager
def asking(where: str) -> Iterator[None]:
    """Whatever goes wrong between us and the registry ends as a sentence."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        mend = "Log in to AWS again." if "Expired" in code or "Unrecognized" in code else ""
        raise PipelineError(f"the registry refuses: {error}", where=where, mend=mend) from None
    except BotoCoreError as error:
        raise PipelineError(f"the registry cannot be asked: {error}", where=where, mend=LOG_IN) from None
    except (OSError, ValueError, LookupError) as error:
        raise PipelineError(f"the registry cannot be asked: {error}", where=where) from None
