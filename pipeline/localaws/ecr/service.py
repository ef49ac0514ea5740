"""ECR: repositories, policies and tags are moto's; all that is said about images is read from the registry.

Images outlive the server, in the registry's storage, while moto forgets its repositories: a repository that is created
again under the same name holds the images it held before. DeleteRepository deletes them for good.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from pipeline.localaws.ecr.gateway import PREFIX, Gateway, tag_exists
from pipeline.localaws.ecr.images import (
    LARGEST_PAGE,
    PAGE,
    ImageId,
    Missing,
    Page,
    detail,
    identifiers,
    not_found,
    page,
    select,
    with_tag_status,
)
from pipeline.localaws.ecr.repositories import Repositories, Repository
from pipeline.localaws.ecr.tokens import Tokens, authorization_token
from pipeline.localaws.machine.registry import Registry
from pipeline.localaws.machine.registry_storage import DIGEST, TAG, StoredImage, media_type
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError, WsgiApp

# Moto would answer these from a store of its own, which has nothing to do with the registry.
REFUSED: Final = {
    "InitiateLayerUpload": "push the image with docker",
    "UploadLayerPart": "push the image with docker",
    "CompleteLayerUpload": "push the image with docker",
    "GetDownloadUrlForLayer": "pull the image with docker",
    "StartImageScan": "no scanner runs here",
}
CREATED = 201


class Ecr(Service):
    """The ECR API and the registry behind it. Put `mounts` beside it in the server."""

    name: ClassVar[str] = "ecr"
    moto_answers_the_rest: ClassVar[bool] = True

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self.registry = Registry(region.folder / "registry")
        self.repositories = Repositories(region)
        self.tokens = Tokens(region.folder / "ecr" / "token.key")
        self._storage = self.registry.storage

    def start(self) -> None:
        """Start the registry."""
        self.registry.start()

    def stop(self) -> None:
        """Stop the registry; the images stay."""
        self.registry.stop()

    @property
    def mounts(self) -> dict[str, WsgiApp]:
        """What Docker talks to, by the start of the path."""
        return {PREFIX: Gateway(self.registry, self.repositories, self.tokens)}

    def method(self, operation: str) -> Callable[[Document, Call], Document] | None:
        """As every service's, alone with its repository; what moto would only pretend is refused."""
        if operation in REFUSED:
            return lambda _request, _call: _refuse(operation)
        answer = super().method(operation)
        if answer is None:
            return None

        def alone(request: Document, call: Call) -> Document:
            with self.registry.turn(request["repositoryName"]) if "repositoryName" in request else nullcontext():
                return answer(request, call)

        return alone

    # --- the registry as a whole

    def get_authorization_token(self, _request: Document, _: Call) -> Document:
        """A password for `docker login`, good for twelve hours."""
        password, expires = self.tokens.issue(datetime.now(UTC))
        return {
            "authorizationData": [
                {
                    "authorizationToken": authorization_token(password),
                    "expiresAt": expires,
                    "proxyEndpoint": self.region.endpoint,
                }
            ]
        }

    # --- repositories

    def create_repository(self, request: Document, _: Call) -> Document:
        """A repository; it holds the images that one of the same name held before the server was restarted."""
        created = self.repositories.backend.create_repository(
            repository_name=request["repositoryName"],
            registry_id=request.get("registryId"),
            encryption_config=request.get("encryptionConfiguration"),
            image_scan_config=request.get("imageScanningConfiguration"),
            image_tag_mutability=request.get("imageTagMutability"),
            image_tag_mutability_exclusion_filters=request.get("imageTagMutabilityExclusionFilters"),
            tags=request.get("tags", []),
        )
        return {"repository": self.repositories.document(created)}

    def describe_repositories(self, request: Document, _: Call) -> Document:
        """Repositories with the address that Docker on this machine can push to."""
        found = self.repositories.describe(request.get("repositoryNames"), request.get("registryId"))
        return _page(found, request).document("repositories")

    def delete_repository(self, request: Document, _: Call) -> Document:
        """Delete a repository; with `force` its images, too."""
        repository = self._repository(request)
        if self._storage.images(repository.name) and not request.get("force"):
            raise ServiceError(
                "RepositoryNotEmptyException",
                f"The repository with name '{repository.name}' in registry with id '{self.region.account}' "
                "cannot be deleted because it still contains images",
            )
        deleted = self.repositories.backend.delete_repository(repository.name, force=True)
        self._storage.delete_repository(repository.name)
        return {"repository": self.repositories.document(deleted)}

    # --- images

    def describe_images(self, request: Document, _: Call) -> Document:
        """The images asked for, or all."""
        repository = self._repository(request)
        images = self._storage.images(repository.name)
        if wanted := request.get("imageIds"):
            chosen = [self._one(images, image_id, repository) for image_id in wanted]
            images = list({image.digest: image for image in chosen}.values())
        images = with_tag_status(images, request.get("filter", {}).get("tagStatus", "ANY"))
        details = [detail(image, repository.name, self.region.account) for image in images]
        return _page(details, request).document("imageDetails")

    def list_images(self, request: Document, _: Call) -> Document:
        """Digests and tags of all images."""
        repository = self._repository(request)
        status = request.get("filter", {}).get("tagStatus", "ANY")
        images = with_tag_status(self._storage.images(repository.name), status)
        return _page([row for image in images for row in identifiers(image)], request).document("imageIds")

    def batch_get_image(self, request: Document, _: Call) -> Document:
        """Manifests, and what was not found."""
        repository = self._repository(request)
        images = self._storage.images(repository.name)
        found, failures = [], []
        for image_id in request["imageIds"]:
            chosen = select(images, image_id)
            if isinstance(chosen, Missing):
                failures.append(chosen.document())
            else:
                found.append(self._image(repository, chosen, image_id.get("imageTag")))
        return {"images": found, "failures": failures}

    def batch_delete_image(self, request: Document, _: Call) -> Document:
        """Remove tags, and images whose last tag that was; by digest, an image with all its tags."""
        repository = self._repository(request)
        deleted, failures = [], []
        for image_id in request["imageIds"]:
            chosen = select(self._storage.images(repository.name), image_id)
            if isinstance(chosen, Missing):
                failures.append(chosen.document())
            else:
                deleted += self._delete(repository, chosen, image_id.get("imageTag"))
        return {"imageIds": deleted, "failures": failures}

    def put_image(self, request: Document, _: Call) -> Document:
        """Push a manifest whose layers are here: to give an image another tag."""
        repository = self._repository(request)
        manifest, tag = request["imageManifest"], request.get("imageTag")
        kind = request.get("imageManifestMediaType") or media_type(_parsed(manifest))
        digest = request.get("imageDigest") or _digest(manifest)
        if digest != _digest(manifest):
            raise ServiceError("ImageDigestDoesNotMatchException", f"the manifest's digest is {_digest(manifest)}")
        self._check_push(repository, digest, tag)
        self._put(repository, tag or digest, manifest, kind)
        image_id = {"imageDigest": digest} | ({"imageTag": tag} if tag else {})
        stored = self._one(self._storage.images(repository.name), image_id, repository)
        return {"image": self._image(repository, stored, tag)}

    def batch_check_layer_availability(self, request: Document, _: Call) -> Document:
        """Which layers the registry can serve from this repository."""
        repository = self._repository(request)
        layers, failures = [], []
        for digest in request["layerDigests"]:
            valid = DIGEST.fullmatch(digest)
            size = self._storage.layer_size(repository.name, digest) if valid else None
            if size is not None:
                layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size})
            else:
                code = "MissingLayerDigest" if valid else "InvalidLayerDigest"
                reason = f"Layer with digest '{digest}' is {'not here' if valid else 'not valid'}"
                failures.append({"layerDigest": digest, "failureCode": code, "failureReason": reason})
        return {"layers": layers, "failures": failures}

    def describe_image_scan_findings(self, request: Document, _: Call) -> Document:
        """Nothing is ever scanned here, and we say so."""
        repository = self._repository(request)
        image = self._one(self._storage.images(repository.name), request["imageId"], repository)
        raise ServiceError(
            "ScanNotFoundException",
            f"Image scan does not exist for the image with '{{imageDigest:'{image.digest}'}}' in the repository with "
            f"name '{repository.name}' in the registry with id '{self.region.account}'",
        )

    # --- steps of the above

    def _repository(self, request: Document) -> Repository:
        return self.repositories.get(request["repositoryName"], request.get("registryId"))

    def _one(self, images: list[StoredImage], image_id: ImageId, repository: Repository) -> StoredImage:
        chosen = select(images, image_id)
        if not isinstance(chosen, Missing):
            return chosen
        if chosen.code in {"MissingDigestAndTag", "InvalidImageDigest"}:
            raise ServiceError("InvalidParameterException", chosen.reason)
        raise ServiceError("ImageNotFoundException", not_found(image_id, repository.name, self.region.account))

    def _image(self, repository: Repository, image: StoredImage, tag: str | None) -> dict[str, Any]:
        manifest = self._storage.manifest(repository.name, image.digest) or b""
        return {
            "registryId": self.region.account,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": image.digest} | ({"imageTag": tag} if tag else {}),
            "imageManifest": manifest.decode(),
            "imageManifestMediaType": image.media_type,
        }

    def _delete(self, repository: Repository, image: StoredImage, tag: str | None) -> list[dict[str, str]]:
        if tag is not None and image.tags != (tag,):
            self._storage.delete_tag(repository.name, tag)
            return [{"imageDigest": image.digest, "imageTag": tag}]
        self._storage.delete_image(repository.name, image.digest)
        return identifiers(image)

    def _check_push(self, repository: Repository, digest: str, tag: str | None) -> None:
        if tag is None:
            return
        if not TAG.fullmatch(tag):
            raise ServiceError("InvalidParameterException", f"Invalid parameter at 'imageTag': {tag!r}")
        present = self._storage.tags(repository.name).get(tag)
        if present == digest:
            raise ServiceError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name "
                f"'{repository.name}' in registry with id '{self.region.account}'",
            )
        if present is not None and repository.is_immutable(tag):
            raise ServiceError("ImageTagAlreadyExistsException", tag_exists(repository, tag))

    def _put(self, repository: Repository, reference: str, manifest: str, kind: str) -> None:
        """The registry itself checks that all layers are there."""
        with closing(self.registry.connect()) as connection:
            path = f"{PREFIX}{repository.name}/manifests/{reference}"
            connection.request("PUT", path, body=manifest.encode(), headers={"Content-Type": kind})
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        if answer.status != CREATED:
            missing = "BLOB_UNKNOWN" in body
            raise ServiceError("LayersNotFoundException" if missing else "InvalidParameterException", body.strip())


def _refuse(operation: str) -> Document:
    raise ServiceError(
        "NotImplementedException", f"the local AWS does not implement ecr:{operation}: {REFUSED[operation]}"
    )


def _page(items: list[Any], request: Document) -> Page:
    size = min(request.get("maxResults", PAGE), LARGEST_PAGE)
    found = page(items, request.get("nextToken"), size)
    if found is None:
        raise ServiceError("InvalidParameterException", "Invalid parameter at 'nextToken'")
    return found


def _parsed(manifest: str) -> Mapping[str, Any]:
    try:
        document = json.loads(manifest)
    except json.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ServiceError("InvalidParameterException", "Invalid parameter at 'ImageManifest': Invalid JSON syntax")
    return document


def _digest(manifest: str) -> str:
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
