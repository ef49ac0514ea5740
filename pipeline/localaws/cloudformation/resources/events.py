"""AWS::Events::Rule."""

from typing import Any

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "ResourceNotFoundException"


class Rule(Provider):
    """A rule with its targets."""

    type = "AWS::Events::Rule"
    implemented = frozenset(
        {
            "Description",
            "EventBusName",
            "EventPattern",
            "Name",
            "RoleArn",
            "ScheduleExpression",
            "State",
            "Tags",
            "Targets",
        }
    )
    replaced_by = (("EventBusName",),)

    def create(self, request: Request) -> str:
        """Make the rule, then its targets; `Ref` is its name."""
        name = str(request.properties.get("Name") or request.name(longest=64))
        self._put(request, name, {})
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Put the rule again, and its targets."""
        self._put(request, physical_id, before)
        change = TagChange.between(before, request.properties)
        events = request.client("events")
        arn = self.attributes(request, physical_id)["Arn"]
        if change.remove:
            events.untag_resource(ResourceARN=arn, TagKeys=list(change.remove))
        if change.put:
            events.tag_resource(ResourceARN=arn, Tags=change.as_list())

    def delete(self, request: Request, physical_id: str) -> None:
        """A rule with targets cannot be deleted: they go first."""
        events = request.client("events")
        with unless_gone(_GONE):
            self._remove_targets(events, physical_id, request.properties, self._ids(request.properties))
            events.delete_rule(Name=physical_id, **_bus(request.properties))

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN."""
        bus = request.properties.get("EventBusName", "default")
        prefix = "" if bus == "default" else f"{bus}/"
        return {"Arn": request.place.arn("events", f"rule/{prefix}{physical_id}"), "RuleName": physical_id}

    def _put(self, request: Request, name: str, before: Document) -> None:
        wanted = request.properties
        events = request.client("events")
        # Tags can be given with a new rule only.
        left_out = {"Name", "Targets", *({"Tags"} if before else ())}
        given = {key: value for key, value in wanted.items() if key not in left_out}
        events.put_rule(Name=name, **arguments(events, "PutRule", given))
        request.note(name)
        gone = [identity for identity in self._ids(before) if identity not in self._ids(wanted)]
        self._remove_targets(events, name, wanted, gone)
        targets = wanted.get("Targets", [])
        if targets:
            answer = events.put_targets(
                Rule=name, **_bus(wanted), **arguments(events, "PutTargets", {"Targets": targets})
            )
            _refuse_failed(answer)

    def _remove_targets(self, events: Any, name: str, properties: Document, ids: list[str]) -> None:
        if ids:
            events.remove_targets(Rule=name, Ids=ids, **_bus(properties))

    def _ids(self, properties: Document) -> list[str]:
        return [str(target["Id"]) for target in properties.get("Targets", [])]


def _bus(properties: Document) -> dict[str, str]:
    return {"EventBusName": properties["EventBusName"]} if "EventBusName" in properties else {}


def _refuse_failed(answer: Document) -> None:
    for entry in answer.get("FailedEntries", []):
        raise ResourceError(f"target {entry.get('TargetId')}: {entry.get('ErrorMessage')} ({entry.get('ErrorCode')})")
