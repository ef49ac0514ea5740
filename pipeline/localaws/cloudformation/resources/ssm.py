"""AWS::SSM::Parameter."""

from typing import Any

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document


class Parameter(Provider):
    """A parameter of the store."""

    type = "AWS::SSM::Parameter"
    implemented = frozenset({"AllowedPattern", "DataType", "Description", "Name", "Tags", "Tier", "Type", "Value"})

    def create(self, request: Request) -> str:
        """Make it; an existing one of that name is an error."""
        name = str(request.properties.get("Name") or request.name())
        ssm = request.client("ssm")
        given = {key: value for key, value in request.properties.items() if key != "Name"}
        # The store's API takes tags as a list, the template as a map.
        given["Tags"] = [{"Key": key, "Value": value} for key, value in (given.get("Tags") or {}).items()]
        ssm.put_parameter(Name=name, **arguments(ssm, "PutParameter", given))
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """A new version, if more than the tags changed."""
        wanted = request.properties
        ssm = request.client("ssm")
        given = {key: value for key, value in wanted.items() if key not in {"Name", "Tags"}}
        if given != {key: value for key, value in before.items() if key not in {"Name", "Tags"}}:
            ssm.put_parameter(Name=physical_id, Overwrite=True, **arguments(ssm, "PutParameter", given))
        self._tag(ssm, physical_id, TagChange.between(before, wanted))

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone("ParameterNotFound"):
            request.client("ssm").delete_parameter(Name=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN; type and value are its properties."""
        return {"Arn": request.place.arn("ssm", f"parameter/{physical_id.removeprefix('/')}")}

    def _tag(self, ssm: Any, name: str, change: TagChange) -> None:
        if change.remove:
            ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=list(change.remove))
        if change.put:
            ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=change.as_list())
