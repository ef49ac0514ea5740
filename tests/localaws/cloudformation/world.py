"""Driving CloudFormation from tests: templates as values, operations awaited."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.localaws.region import LocalRegion

ROLE_MAY = ["CAPABILITY_NAMED_IAM"]


def resource(kind: str, properties: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One entry of a template's Resources; `more` are its attributes."""
    return {"Type": kind, "Properties": dict(properties or {}), **more}


def parameter(value: Any = "one", **properties: Any) -> dict[str, Any]:
    """The cheapest resource there is."""
    return resource("AWS::SSM::Parameter", {"Type": "String", "Value": value, **properties})


def template(resources: Mapping[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": dict(resources), **sections})


@dataclass
class World:
    """A region with CloudFormation in it."""

    region: LocalRegion

    @property
    def api(self) -> Any:
        return self.region.client("cloudformation")

    def create(self, resources: Mapping[str, Any], *, name: str = "stack", sections: Any = None, **more: Any) -> str:
        """Create a stack and wait; gives its status."""
        self.api.create_stack(
            StackName=name, TemplateBody=template(resources, **(sections or {})), Capabilities=ROLE_MAY, **more
        )
        return self.settled(name)

    def update(self, resources: Mapping[str, Any], *, name: str = "stack", sections: Any = None, **more: Any) -> str:
        """Update a stack and wait; gives its status."""
        self.api.update_stack(
            StackName=name, TemplateBody=template(resources, **(sections or {})), Capabilities=ROLE_MAY, **more
        )
        return self.settled(name)

    def delete(self, name: str = "stack", **more: Any) -> str:
        """Delete a stack and wait; gives its status."""
        identity = self.stack(name)["StackId"]
        self.api.delete_stack(StackName=name, **more)
        return self.settled(identity)

    def settled(self, name: str) -> str:
        """The stack's status once nothing is under way."""
        deadline = time.monotonic() + 20
        while (status := str(self.stack(name)["StackStatus"])).endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, f"{name} is still {status}"
            time.sleep(0.02)
        return status

    def stack(self, name: str = "stack") -> dict[str, Any]:
        return dict(self.api.describe_stacks(StackName=name)["Stacks"][0])

    def outputs(self, name: str = "stack") -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.stack(name).get("Outputs", [])}

    def physical_id(self, logical_id: str, name: str = "stack") -> str:
        found = self.api.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def story(self, name: str = "stack") -> list[str]:
        """What the last operation did, oldest first: `Logical STATUS`; the stack itself is `stack`."""
        events = self.api.describe_stack_events(StackName=name)["StackEvents"]
        operation = events[0].get("OperationId")
        mine = [event for event in events if event.get("OperationId") == operation]
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in reversed(mine)]

    def reason(self, logical_id: str, name: str = "stack") -> str:
        """Why a resource failed last."""
        events = self.api.describe_stack_events(StackName=name)["StackEvents"]
        failed = (
            event["ResourceStatusReason"]
            for event in events
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("_FAILED")
        )
        return str(next(failed))

    def change_set(self, resources: Mapping[str, Any], *, kind: str = "UPDATE", **more: Any) -> dict[str, Any]:
        """Make a change set; gives its description."""
        made = self.api.create_change_set(
            StackName="stack",
            ChangeSetName=more.pop("change_set", "change"),
            ChangeSetType=kind,
            TemplateBody=template(resources, **more.pop("sections", {})),
            Capabilities=ROLE_MAY,
            **more,
        )
        return dict(self.api.describe_change_set(ChangeSetName=made["Id"]))

    def value(self, name: str) -> str:
        """What an SSM parameter says."""
        return str(self.region.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
