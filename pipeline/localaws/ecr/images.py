"""Which images of a repository a request means, and what the API says of them: values only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.localaws.machine.registry_storage import DIGEST, StoredImage

ImageId = Mapping[str, str]  # the API's ImageIdentifier: imageTag, imageDigest, or both
PAGE = 100  # ECR's own size of a page, and its largest but for ListImages
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Missing:
    """An identifier that means no image, in the words of the API's ImageFailure."""

    image_id: ImageId
    code: str
    reason: str

    def document(self) -> dict[str, Any]:
        """As the API's shape `ImageFailure`."""
        return {"imageId": dict(self.image_id), "failureCode": self.code, "failureReason": self.reason}


def select(images: Sequence[StoredImage], image_id: ImageId) -> StoredImage | Missing:
    """The image an identifier means.

    | tag | digest | meant |
    | --- | --- | --- |
    | - | - | nothing: MissingDigestAndTag |
    | - | malformed | nothing: InvalidImageDigest |
    | - | known | that image |
    | known | - | the image it points at |
    | known | another image's | nothing: ImageTagDoesNotMatchDigest |
    | unknown, or digest unknown | | nothing: ImageNotFound |
    """
    tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
    if tag is None and digest is None:
        return Missing(
            image_id, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
        )
    if digest is not None and not DIGEST.fullmatch(digest):
        return Missing(image_id, "InvalidImageDigest", "Invalid request parameters: image digest is not valid")
    tagged = next((image for image in images if tag in image.tags), None)
    if digest is None:
        return tagged or Missing(image_id, "ImageNotFound", "Requested image not found")
    by_digest = next((image for image in images if image.digest == digest), None)
    if by_digest is None or (tag is not None and tagged is None):
        return Missing(image_id, "ImageNotFound", "Requested image not found")
    if tag is not None and tagged != by_digest:
        return Missing(image_id, "ImageTagDoesNotMatchDigest", "Requested tag does not match the digest")
    return by_digest


def detail(image: StoredImage, repository: str, account: str) -> dict[str, Any]:
    """An image as the API's shape `ImageDetail`; as in ECR, an image without tags has no `imageTags`."""
    return {
        "registryId": account,
        "repositoryName": repository,
        "imageDigest": image.digest,
        **({"imageTags": list(image.tags)} if image.tags else {}),
        "imageSizeInBytes": image.size,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        **({"artifactMediaType": image.artifact_type} if image.artifact_type else {}),
        "imageStatus": "ACTIVE",
    }


def identifiers(image: StoredImage) -> list[dict[str, str]]:
    """An image as ListImages shows it: a row for each tag, or one without."""
    rows = [{"imageDigest": image.digest, "imageTag": tag} for tag in image.tags]
    return rows or [{"imageDigest": image.digest}]


def with_tag_status(images: Sequence[StoredImage], wanted: str) -> list[StoredImage]:
    """The images that a filter's `tagStatus` lets through: TAGGED, UNTAGGED or ANY."""
    return [image for image in images if wanted == "ANY" or bool(image.tags) == (wanted == "TAGGED")]


def not_found(image_id: ImageId, repository: str, account: str) -> str:
    """ECR's sentence for an image that is not there."""
    shown = ", ".join(f"{key}:'{image_id.get(key, 'null')}'" for key in ("imageDigest", "imageTag"))
    return (
        f"The image with imageId {{{shown}}} does not exist within the repository with name '{repository}' "
        f"in the registry with id '{account}'"
    )


@dataclass(frozen=True)
class Page:
    """A part of a listing, and the token of the next one, "" at the end."""

    items: Sequence[Any]
    next_token: str

    def document(self, member: str) -> dict[str, Any]:
        """As a response whose listing is called `member`."""
        return {member: list(self.items), **({"nextToken": self.next_token} if self.next_token else {})}


def page(items: Sequence[Any], token: str | None, size: int) -> Page | None:
    """The part of a listing that begins where `token` says; None when the token is not one of ours."""
    if token is not None and not re.fullmatch(r"\d{1,9}", token):
        return None
    first = int(token or 0)
    after = first + size
    return Page(items[first:after], str(after) if after < len(items) else "")
