"""What the network types have in common: EC2 names things by id and tags everything the same way."""

from typing import Any

from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange
from pipeline.localaws.cloudformation.template import Document

# EC2's codes for "it is gone": InvalidVpcID.NotFound, InvalidGroup.NotFound, InvalidRoute.NotFound …
NOT_FOUND = ".NotFound"


class Ec2Provider(Provider):
    """A type of EC2 whose physical id is an EC2 id and whose tags change in place."""

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Tags; subclasses with more that changes in place do that, too."""
        tag(request, physical_id, before)


def tag(request: Request, identity: str, before: Document) -> None:
    """Give a resource the tags of its properties."""
    change = TagChange.between(before, request.properties)
    ec2 = request.client("ec2")
    if change.remove:
        ec2.delete_tags(Resources=[identity], Tags=[{"Key": key} for key in change.remove])
    if change.put:
        ec2.create_tags(Resources=[identity], Tags=change.as_list())


def chosen(properties: Document, *names: str) -> dict[str, Any]:
    """Those of the named properties that are given."""
    return {name: properties[name] for name in names if name in properties}
