"""Stacks, change sets and plans as the API shows them."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.localaws.cloudformation.intrinsics import Unknown
from pipeline.localaws.cloudformation.parameters import MASKED, Value
from pipeline.localaws.cloudformation.plan import Action, Change, PropertyChange
from pipeline.localaws.cloudformation.stacks import ChangeSet, Stack, StackEvent, StackResource


def stack_view(stack: Stack) -> dict[str, Any]:
    """One of DescribeStacks."""
    with stack.lock:
        return _given(
            {
                "StackId": stack.id,
                "StackName": stack.name,
                "ChangeSetId": stack.last_change_set,
                "Description": stack.intent.template.description or None,
                "Parameters": parameters_view(stack.intent.parameters),
                "CreationTime": stack.created,
                "LastUpdatedTime": stack.updated,
                "DeletionTime": stack.deleted,
                "RollbackConfiguration": {},
                "StackStatus": stack.status,
                "StackStatusReason": stack.reason or None,
                "DisableRollback": stack.disable_rollback,
                "NotificationARNs": list(stack.intent.notifications),
                "Capabilities": list(stack.intent.capabilities),
                "Outputs": [
                    _given(
                        {
                            "OutputKey": output.key,
                            "OutputValue": output.value,
                            "Description": output.description or None,
                            "ExportName": output.export,
                        }
                    )
                    for output in stack.outputs
                ],
                "RoleARN": stack.intent.role_arn,
                "Tags": _tags(stack.intent.tags),
                "EnableTerminationProtection": stack.protected,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }
        )


def summary_view(stack: Stack) -> dict[str, Any]:
    """One of ListStacks."""
    names = (
        "StackId",
        "StackName",
        "CreationTime",
        "LastUpdatedTime",
        "DeletionTime",
        "StackStatus",
        "StackStatusReason",
        "DriftInformation",
    )
    whole = stack_view(stack)
    description = stack.intent.template.description
    return {name: whole[name] for name in names if name in whole} | _given({"TemplateDescription": description or None})


def event_view(stack: Stack, event: StackEvent) -> dict[str, Any]:
    """One of DescribeStackEvents."""
    return _given(
        {
            "StackId": stack.id,
            "EventId": event.identity,
            "StackName": stack.name,
            "OperationId": event.operation or None,
            "LogicalResourceId": event.logical_id,
            "PhysicalResourceId": event.physical_id,
            "ResourceType": event.type,
            "Timestamp": event.at,
            "ResourceStatus": event.status,
            "ResourceStatusReason": event.reason or None,
            "ClientRequestToken": event.token or None,
        }
    )


def operation_event_view(stack: Stack, event: StackEvent) -> dict[str, Any]:
    """One of DescribeEvents."""
    shown = event_view(stack, event) | {"EventType": "STACK_EVENT"}
    return {name: value for name, value in shown.items() if name != "StackName"}


def validation_events(stack: Stack, change_set: ChangeSet) -> list[dict[str, Any]]:
    """The properties a change set was refused for, as DescribeEvents shows them."""
    return [
        {
            "EventId": f"{change_set.identity.rpartition('/')[2]}-{index}",
            "StackId": stack.id,
            "EventType": "VALIDATION_ERROR",
            "LogicalResourceId": logical_id,
            "ResourceType": kind,
            "Timestamp": change_set.created,
            "ValidationFailureMode": "FAIL",
            "ValidationName": "PROPERTY_VALIDATION",
            "ValidationStatus": "FAILED",
            "ValidationStatusReason": problem.message,
            "ValidationPath": f"/Resources/{logical_id}{problem.path}",
        }
        for index, (logical_id, kind, problem) in enumerate(change_set.problems)
    ]


def resource_view(stack: Stack, resource: StackResource) -> dict[str, Any]:
    """One of DescribeStackResources."""
    return {"StackName": stack.name, "StackId": stack.id} | _given(
        {
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id or None,
            "ResourceType": resource.type,
            "Timestamp": resource.at,
            "ResourceStatus": resource.status,
            "ResourceStatusReason": resource.reason or None,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def resource_detail(stack: Stack, resource: StackResource) -> dict[str, Any]:
    """The one of DescribeStackResource."""
    shown = resource_view(stack, resource)
    shown["LastUpdatedTimestamp"] = shown.pop("Timestamp")
    if resource.recorded is not None:
        shown["Metadata"] = json.dumps(resource.recorded.wanted.metadata)
    return shown


def change_set_view(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    """DescribeChangeSet."""
    plan = change_set.plan
    return _given(
        {
            "ChangeSetName": change_set.name,
            "ChangeSetId": change_set.identity,
            "StackId": stack.id,
            "StackName": stack.name,
            "Description": change_set.description or None,
            "Parameters": parameters_view(change_set.intent.parameters),
            "CreationTime": change_set.created,
            "ExecutionStatus": change_set.execution,
            "Status": change_set.status,
            "StatusReason": change_set.reason or None,
            "NotificationARNs": list(change_set.intent.notifications),
            "RollbackConfiguration": {},
            "Capabilities": list(change_set.intent.capabilities),
            "Tags": _tags(change_set.intent.tags),
            "Changes": [change_view(change) for change in plan.effective] if plan else [],
            "IncludeNestedStacks": False,
            "OnStackFailure": change_set.on_failure,
        }
    )


def change_set_summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    """One of ListChangeSets."""
    names = (
        "StackId",
        "StackName",
        "ChangeSetId",
        "ChangeSetName",
        "ExecutionStatus",
        "Status",
        "StatusReason",
        "CreationTime",
        "Description",
    )
    whole = change_set_view(stack, change_set)
    return {name: whole[name] for name in names if name in whole}


def change_view(change: Change) -> dict[str, Any]:
    """One change of a change set; replacing is a kind of Modify there."""
    shown: dict[str, Any] = {
        "LogicalResourceId": change.logical_id,
        "PhysicalResourceId": change.physical_id,
        "ResourceType": change.type,
        "Scope": list(change.scope),
        "Details": [_detail(found) for found in change.properties],
    }
    if change.action in {Action.ADD, Action.REMOVE}:
        shown["Action"] = change.action.value
        if change.action is Action.REMOVE:
            shown["PolicyAction"] = "Retain" if change.retained else "Delete"
    else:
        shown["Action"] = "Modify"
        replaced = change.action is Action.REPLACE
        shown["Replacement"] = "Conditional" if change.conditional else str(replaced)
        if replaced:
            shown["PolicyAction"] = "ReplaceAndRetain" if change.retained else "ReplaceAndDelete"
    return {"Type": "Resource", "ResourceChange": _given(shown)}


def parameters_view(parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Parameters with their values, secret ones masked."""
    shown = []
    for name, value in parameters.items():
        found = {"ParameterKey": name, "ParameterValue": MASKED if value.no_echo else value.given}
        if value.from_ssm:
            found["ResolvedValue"] = MASKED if value.no_echo else str(value.resolved)
        shown.append(found)
    return shown


def _detail(change: PropertyChange) -> dict[str, Any]:
    recreation = "Never"
    if change.replaces:
        recreation = "Conditionally" if change.dynamic else "Always"
    target = {
        "Attribute": "Properties",
        "Name": change.path[0],
        "Path": "/Properties/" + "/".join(change.path),
        "RequiresRecreation": recreation,
        "BeforeValue": None if change.before is None else _text(change.before),
        "AfterValue": None if change.after is None else _text(change.after),
        "AttributeChangeType": _kind(change),
    }
    return {
        "Target": _given(target),
        "Evaluation": "Dynamic" if change.dynamic else "Static",
        "ChangeSource": "DirectModification",
    }


def _kind(change: PropertyChange) -> str:
    if change.before is None:
        return "Add"
    return "Remove" if change.after is None else "Modify"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=_unknown)


def _unknown(value: Any) -> str:
    assert isinstance(value, Unknown)  # noqa: S101 - all else in properties is JSON
    return str(value)


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
