"""Repositories as moto keeps them: the one place that reads moto's ECR by its internals, not by API.

CloudFormation and the API both end in moto's store, so there is one truth about which repositories exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.ecr.models import ecr_backends

from pipeline.localaws.ecr.reference import registry_host
from pipeline.localaws.region import LocalRegion


@dataclass(frozen=True)
class Repository:
    """What decides about a push.

    Attributes:
        name: Its name, e.g. `etl/base`.
        mutability: As in the API: IMMUTABLE, MUTABLE, or one of them _WITH_EXCLUSION.
        exclusions: Wildcards of the tags to which the opposite applies.
    """

    name: str
    mutability: str
    exclusions: tuple[str, ...] = ()

    def is_immutable(self, tag: str) -> bool:
        """Whether a tag, once pushed, stays what it is.

        | mutability | tag matches an exclusion | immutable |
        | --- | --- | --- |
        | MUTABLE | - | no |
        | IMMUTABLE | - | yes |
        | IMMUTABLE_WITH_EXCLUSION | yes | no |
        | IMMUTABLE_WITH_EXCLUSION | no | yes |
        | MUTABLE_WITH_EXCLUSION | yes | yes |
        | MUTABLE_WITH_EXCLUSION | no | no |
        """
        excluded = any(fnmatchcase(tag, wildcard) for wildcard in self.exclusions)
        return self.mutability.startswith("IMMUTABLE") != excluded


class Repositories:
    """The repositories of the region's account."""

    def __init__(self, region: LocalRegion) -> None:
        self._region = region
        self.account = region.account

    @property
    def backend(self) -> Any:
        """Moto's own; its errors are those of the API."""
        return ecr_backends[self.account][self._region.region]

    def find(self, name: str) -> Repository | None:
        """The repository of that name, or None."""
        found = self.backend.repositories.get(name)
        return _repository(found) if found else None

    def get(self, name: str, registry_id: str | None = None) -> Repository:
        """The repository of that name.

        Raises:
            ServiceException: RepositoryNotFoundException.
        """
        return _repository(self.backend._get_repository(name, registry_id))  # noqa: SLF001 - moto has no other

    def describe(self, names: Sequence[str] | None, registry_id: str | None) -> list[Mapping[str, Any]]:
        """As DescribeRepositories does, with the address that Docker on this machine can push to."""
        found = self.backend.describe_repositories(registry_id=registry_id, repository_names=names)
        return [self.document(each) for each in found]

    def document(self, repository: Any) -> Mapping[str, Any]:
        """Moto's repository as the API's shape `Repository`."""
        filters = repository.image_tag_mutability_exclusion_filters
        return {
            "repositoryArn": repository.arn,
            "registryId": repository.registry_id,
            "repositoryName": repository.name,
            "repositoryUri": f"{registry_host(self._region)}/{repository.name}",
            "createdAt": repository.created_at,
            "imageTagMutability": _text(repository.image_tag_mutability),
            **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
            "imageScanningConfiguration": repository.image_scanning_configuration,
            "encryptionConfiguration": repository.encryption_configuration,
        }


def _repository(found: Any) -> Repository:
    filters = found.image_tag_mutability_exclusion_filters or []
    return Repository(found.name, _text(found.image_tag_mutability), tuple(each["filter"] for each in filters))


def _text(value: Any) -> str:
    """Moto stores an enumeration's member or a plain string."""
    return str(getattr(value, "value", value))
