"""AWS::ECR::Repository."""

import json
from typing import Any

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "RepositoryNotFoundException"


class Repository(Provider):
    """A repository of images."""

    type = "AWS::ECR::Repository"
    implemented = frozenset(
        {
            "EmptyOnDelete",
            "EncryptionConfiguration",
            "ImageScanningConfiguration",
            "ImageTagMutability",
            "ImageTagMutabilityExclusionFilters",
            "LifecyclePolicy",
            "RepositoryName",
            "RepositoryPolicyText",
            "Tags",
        }
    )

    def create(self, request: Request) -> str:
        """Make it, then its policies."""
        wanted = request.properties
        ecr = request.client("ecr")
        name = str(wanted.get("RepositoryName") or request.name(lower=True))
        later = {"EmptyOnDelete", "LifecyclePolicy", "RepositoryPolicyText", "RepositoryName"}
        given = {key: value for key, value in wanted.items() if key not in later}
        ecr.create_repository(repositoryName=name, **arguments(ecr, "CreateRepository", given))
        request.note(name)
        self._policies(ecr, name, wanted, {})
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Everything but its name and encryption."""
        wanted = request.properties
        ecr = request.client("ecr")
        mutability = ("ImageTagMutability", "ImageTagMutabilityExclusionFilters")
        if any(wanted.get(key) != before.get(key) for key in mutability):
            given = {"ImageTagMutability": "MUTABLE"} | {key: wanted[key] for key in mutability if key in wanted}
            ecr.put_image_tag_mutability(repositoryName=physical_id, **arguments(ecr, "PutImageTagMutability", given))
        if wanted.get("ImageScanningConfiguration") != before.get("ImageScanningConfiguration"):
            scan = wanted.get("ImageScanningConfiguration", {"ScanOnPush": False})
            ecr.put_image_scanning_configuration(
                repositoryName=physical_id,
                **arguments(ecr, "PutImageScanningConfiguration", {"ImageScanningConfiguration": scan}),
            )
        self._policies(ecr, physical_id, wanted, before)
        change = TagChange.between(before, wanted)
        arn = self._describe(request, physical_id)["repositoryArn"]
        if change.remove:
            ecr.untag_resource(resourceArn=arn, tagKeys=list(change.remove))
        if change.put:
            ecr.tag_resource(resourceArn=arn, tags=change.as_list())

    def delete(self, request: Request, physical_id: str) -> None:
        """Fails while there is an image in it, unless the template says EmptyOnDelete."""
        with unless_gone(_GONE):
            request.client("ecr").delete_repository(
                repositoryName=physical_id, force=bool(request.properties.get("EmptyOnDelete", False))
            )

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN and where images are pushed to."""
        found = self._describe(request, physical_id)
        return {"Arn": found["repositoryArn"], "RepositoryUri": found["repositoryUri"]}

    def _describe(self, request: Request, name: str) -> Any:
        return request.client("ecr").describe_repositories(repositoryNames=[name])["repositories"][0]

    def _policies(self, ecr: Any, name: str, wanted: Document, before: Document) -> None:
        policy = wanted.get("RepositoryPolicyText")
        if policy != before.get("RepositoryPolicyText"):
            if policy:
                text = policy if isinstance(policy, str) else json.dumps(policy)
                ecr.set_repository_policy(repositoryName=name, policyText=text)
            else:
                with unless_gone("RepositoryPolicyNotFoundException"):
                    ecr.delete_repository_policy(repositoryName=name)
        rules = wanted.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if rules != before.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
            if rules:
                ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=rules)
            else:
                with unless_gone("LifecyclePolicyNotFoundException"):
                    ecr.delete_lifecycle_policy(repositoryName=name)
