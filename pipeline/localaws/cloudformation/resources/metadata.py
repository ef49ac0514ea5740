"""AWS::CDK::Metadata: says which constructs a template was made of; does nothing, here as on AWS."""

from pipeline.localaws.cloudformation.resources.provider import Provider, Request
from pipeline.localaws.cloudformation.template import Document


class CdkMetadata(Provider):
    """Nothing but an id."""

    type = "AWS::CDK::Metadata"
    implemented = frozenset({"Analytics", "Modules"})

    def create(self, request: Request) -> str:
        """An id."""
        return request.name()

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Nothing."""

    def delete(self, request: Request, physical_id: str) -> None:
        """Nothing."""

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - all it has
        """Its id."""
        return {"Id": physical_id}
