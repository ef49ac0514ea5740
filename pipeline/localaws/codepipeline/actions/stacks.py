"""A CloudFormation stack as an action sees it: what state it is in, when its work is done, and why it failed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.localaws.codepipeline.actions.work import JOB_FAILED, ActionFailedError, Work

POLL_SECONDS: Final = 0.3  # CloudFormation has no way to wait; locally a look costs milliseconds
GOOD: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
REASONS_SHOWN: Final = 5
CLOCK_SLACK: Final = timedelta(seconds=1)  # event times may be cut to the second


def describe(cloudformation: Any, name: str) -> Mapping[str, Any] | None:
    """The stack by name or id, or None when there is none."""
    try:
        stack: Mapping[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return stack


def outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    """The stack's outputs."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}


def settle(work: Work, cloudformation: Any, name: str) -> Mapping[str, Any] | None:
    """Wait until nothing is in progress in a stack; the stack then, or None when it is gone.

    Raises:
        AbandonedError: Nobody waits for the action any more.
    """
    while True:
        stack = describe(cloudformation, name)
        if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        work.pause(POLL_SECONDS)


def succeeded(work: Work, cloudformation: Any, name: str, since: datetime) -> Mapping[str, Any]:
    """Wait for an operation on a stack, and see that it went well.

    Args:
        work: The action.
        cloudformation: The client.
        name: The stack's name or id.
        since: When the operation was asked for: older events are not its own.

    Raises:
        ActionFailedError: It failed; the message holds the reasons from the stack's events.
    """
    stack = settle(work, cloudformation, name)
    if stack is None:
        raise ActionFailedError(JOB_FAILED, f"The stack {name} is gone")
    if stack["StackStatus"] not in GOOD:
        raise ActionFailedError(JOB_FAILED, why(cloudformation, stack, since))
    return stack


def why(cloudformation: Any, stack: Mapping[str, Any], since: datetime) -> str:
    """What went wrong in a stack since a moment, the first cause first."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack["StackId"])
    reasons: list[str] = []
    for page in pages:
        for event in page["StackEvents"]:
            reason = event.get("ResourceStatusReason", "")
            failed = event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason.lower()
            if failed and _time(event) >= since - CLOCK_SLACK:
                reasons.append(f"{event['LogicalResourceId']} ({event.get('ResourceType', '')}): {reason}")
    said = reasons[::-1][:REASONS_SHOWN] or [stack.get("StackStatusReason", "")]
    return f"Deploy of the stack {stack['StackName']} ended with {stack['StackStatus']}: {'; '.join(said)}".rstrip(": ")


def _time(event: Mapping[str, Any]) -> datetime:
    time: datetime = event["Timestamp"]
    return time if time.tzinfo else time.replace(tzinfo=UTC)
