"""The images that ECR holds, and deleting some of them."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import boto3

from pipeline.errors import PipelineError
from pipeline.images.ecr import PAGE, asking
from pipeline.images.image_index import DOCKER_INDEX, OCI_INDEX
from pipeline.images.prune import Stored

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef, ImageIdentifierTypeDef

IDS_AT_ONCE = 100  # BatchGetImage's and BatchDeleteImage's limit
GONE = "ImageNotFound"


class EcrStore:
    """See `prune.ImageStore`.

    Args:
        session: Whose credentials, and the region: it needs ecr:DescribeImages, ecr:BatchGetImage and, to delete,
            ecr:BatchDeleteImage.
        repository: Container → the name of its repository.
    """

    def __init__(self, session: boto3.Session, repository: Callable[[str], str]) -> None:
        with asking("the registry"):
            self._ecr: ECRClient = session.client("ecr")
        self._repository = repository

    def stored(self, name: str) -> Sequence[Stored]:
        """One DescribeImages request for 1,000 images, and one BatchGetImage for 100 that join others."""
        repository = self._repository(name)
        with asking(repository):
            pages = self._ecr.get_paginator("describe_images").paginate(
                repositoryName=repository, filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": PAGE}
            )
            try:
                details = [detail for page in pages for detail in page["imageDetails"]]
            except self._ecr.exceptions.RepositoryNotFoundException:
                return ()
            indexes = [
                detail["imageDigest"]
                for detail in details
                if detail.get("imageManifestMediaType") in (OCI_INDEX, DOCKER_INDEX)
            ]
            members = self._members(repository, indexes)
        return tuple(_stored(detail, members.get(detail["imageDigest"], ())) for detail in details)

    def delete(self, name: str, images: Sequence[Stored]) -> dict[str, str]:
        """BatchDeleteImage, indexes first: ECR deletes no image that an index joins.

        Each tag is named with the digest it had: an image that got another tag meanwhile keeps it, and stays.
        """
        repository = self._repository(name)
        failed: dict[str, str] = {}
        for some in ([each for each in images if each.members], [each for each in images if not each.members]):
            ids: list[ImageIdentifierTypeDef] = [
                {"imageDigest": each.digest, "imageTag": tag} for each in some for tag in each.tags
            ]
            for batch in _batches(ids):
                with asking(repository):
                    answer = self._ecr.batch_delete_image(repositoryName=repository, imageIds=batch)
                failed |= {
                    each["imageId"]["imageDigest"]: f"{each['failureCode']}: {each.get('failureReason', '')}"
                    for each in answer["failures"]
                    if each["failureCode"] != GONE
                }
        return failed

    def _members(self, repository: str, digests: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Digest of an index → digests of the images that it joins."""
        members: dict[str, tuple[str, ...]] = {}
        for batch in _batches([{"imageDigest": digest} for digest in digests]):
            answer = self._ecr.batch_get_image(
                repositoryName=repository, imageIds=batch, acceptedMediaTypes=[OCI_INDEX, DOCKER_INDEX]
            )
            for each in answer["images"]:
                document = json.loads(each["imageManifest"])
                members[each["imageId"]["imageDigest"]] = tuple(
                    str(member["digest"]) for member in document["manifests"]
                )
        if unread := [digest for digest in digests if digest not in members]:
            raise PipelineError(f"the registry does not say which images {unread[0]} joins", where=repository)
        return members


def _batches(ids: "list[ImageIdentifierTypeDef]") -> "Iterator[list[ImageIdentifierTypeDef]]":
    for start in range(0, len(ids), IDS_AT_ONCE):
        yield ids[start : start + IDS_AT_ONCE]


def _stored(detail: "ImageDetailTypeDef", members: tuple[str, ...]) -> Stored:
    return Stored(
        digest=detail["imageDigest"],
        tags=tuple(sorted(detail["imageTags"], key=lambda tag: (len(tag), tag))),
        size=detail.get("imageSizeInBytes", 0),
        pushed=detail["imagePushedAt"],
        pulled=detail.get("lastRecordedPullTime"),
        members=members,
    )
