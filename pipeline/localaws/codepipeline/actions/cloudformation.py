"""Deploy/CloudFormation: change sets and stacks (user guide, "CloudFormation deploy action reference")."""

import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.localaws.codepipeline.actions import stacks
from pipeline.localaws.codepipeline.actions.stack_input import arguments
from pipeline.localaws.codepipeline.actions.work import (
    CONFIGURATION_ERROR,
    JOB_FAILED,
    ActionFailedError,
    Outcome,
    Perform,
    Work,
)
from pipeline.localaws.codepipeline.records import External

# What CloudFormation says of a change set or an update that would change nothing.
NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")


def perform(work: Work) -> Outcome:
    """Do what ActionMode says."""
    return MODES[work.configuration["ActionMode"]](work)


def replace_change_set(work: Work) -> Outcome:
    """CHANGE_SET_REPLACE: a change set of that name, in place of an older one.

    A change set without changes is a success: executing it then does nothing.
    """
    cloudformation = work.client("cloudformation")
    stack_name, name = work.configuration["StackName"], _change_set_name(work)
    given = arguments(work)
    stack = stacks.describe(cloudformation, stack_name)
    exists = stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    if stack is not None:
        _delete_change_set(work, cloudformation, stack_name, name)
    created = cloudformation.create_change_set(
        **given, ChangeSetName=name, ChangeSetType="UPDATE" if exists else "CREATE"
    )
    stack_id = created.get("StackId", stack_name)
    external = External(stack_id, _page(work, stack_id))
    work.report(external)
    change_set = _finished(work, cloudformation, stack_name, name)
    if change_set["Status"] == "FAILED" and not _empty(change_set):
        raise ActionFailedError(
            JOB_FAILED, f"Change set {name} of the stack {stack_name} failed: {change_set.get('StatusReason', '')}"
        )
    words = "has no changes" if _empty(change_set) else "was created"
    return Outcome(external=External(external.id, external.url, f"Change set {name} {words}."))


def execute_change_set(work: Work) -> Outcome:
    """CHANGE_SET_EXECUTE: carry it out, unless it has no changes."""
    cloudformation = work.client("cloudformation")
    stack_name, name = work.configuration["StackName"], _change_set_name(work)
    change_set = _describe_change_set(cloudformation, stack_name, name)
    if change_set is None:
        raise ActionFailedError(JOB_FAILED, f"ChangeSet [{name}] does not exist for the stack {stack_name}")
    stack_id = change_set["StackId"]
    if _empty(change_set):
        return _deployed(work, stack_id, stacks.describe(cloudformation, stack_id), "No changes to execute.")
    since = datetime.now(UTC)
    cloudformation.execute_change_set(ChangeSetName=name, StackName=stack_name)
    work.report(External(stack_id, _page(work, stack_id)))
    stack = stacks.succeeded(work, cloudformation, stack_id, since)
    return _deployed(work, stack_id, stack, f"Deployed the change set {name}.")


def create_or_update(work: Work) -> Outcome:
    """CREATE_UPDATE: without a change set."""
    cloudformation = work.client("cloudformation")
    given = arguments(work)
    stack = stacks.describe(cloudformation, given["StackName"])
    since = datetime.now(UTC)
    try:
        if stack is None:
            stack_id = cloudformation.create_stack(**given)["StackId"]
        else:
            stack_id = cloudformation.update_stack(**given)["StackId"]
    except ClientError as error:
        if stack is not None and _says_no_changes(error.response["Error"]["Message"]):
            return _deployed(work, stack["StackId"], stack, "No updates to perform.")
        raise
    work.report(External(stack_id, _page(work, stack_id)))
    return _deployed(work, stack_id, stacks.succeeded(work, cloudformation, stack_id, since), "Deployed the stack.")


def delete(work: Work) -> Outcome:
    """DELETE_ONLY: a stack that does not exist is a success."""
    cloudformation = work.client("cloudformation")
    stack_name = work.configuration["StackName"]
    stack = stacks.describe(cloudformation, stack_name)
    if stack is None:
        return Outcome(external=External(summary=f"The stack {stack_name} does not exist."))
    since = datetime.now(UTC)
    role = work.configuration.get("RoleArn")
    cloudformation.delete_stack(StackName=stack_name, **({"RoleARN": role} if role else {}))
    stack_id = stack["StackId"]
    work.report(External(stack_id, _page(work, stack_id)))
    rest = stacks.settle(work, cloudformation, stack_id)
    if rest is not None and rest["StackStatus"] != "DELETE_COMPLETE":
        raise ActionFailedError(JOB_FAILED, stacks.why(cloudformation, rest, since))
    return Outcome(external=External(stack_id, _page(work, stack_id), f"Deleted the stack {stack_name}."))


MODES: Final[Mapping[str, Perform]] = {
    "CHANGE_SET_REPLACE": replace_change_set,
    "CHANGE_SET_EXECUTE": execute_change_set,
    "CREATE_UPDATE": create_or_update,
    "DELETE_ONLY": delete,
}


def _deployed(work: Work, stack_id: str, stack: Mapping[str, Any] | None, summary: str) -> Outcome:
    """The stack's outputs as variables, and as a file in the output artifact when one is declared."""
    outputs = stacks.outputs(stack or {})
    for artifact in work.outputs:
        path = work.folder / "outputs.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(work.configuration.get("OutputFileName", "CreateStackOutput.json"), json.dumps(outputs))
        work.write(artifact, path)
    return Outcome(variables=outputs, external=External(stack_id, _page(work, stack_id), summary))


def _change_set_name(work: Work) -> str:
    name = work.configuration.get("ChangeSetName")
    if not name:
        raise ActionFailedError(
            CONFIGURATION_ERROR, f"ActionMode {work.configuration['ActionMode']} needs a ChangeSetName"
        )
    return name


def _describe_change_set(cloudformation: Any, stack: str, name: str) -> Mapping[str, Any] | None:
    """A change set that can be executed or deleted, or None."""
    try:
        found: Mapping[str, Any] = cloudformation.describe_change_set(StackName=stack, ChangeSetName=name)
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] in {"ChangeSetNotFound", "ChangeSetNotFoundException"} or "does not exist" in said["Message"]:
            return None
        raise
    # An executed change set can still be described, but it is not in the way of a new one of its name.
    used = found.get("ExecutionStatus", "").startswith("EXECUTE_")
    return None if used or found["Status"] == "DELETE_COMPLETE" else found


def _delete_change_set(work: Work, cloudformation: Any, stack: str, name: str) -> None:
    if _describe_change_set(cloudformation, stack, name) is None:
        return
    cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
    while _describe_change_set(cloudformation, stack, name) is not None:
        work.pause(stacks.POLL_SECONDS)


def _finished(work: Work, cloudformation: Any, stack: str, name: str) -> Mapping[str, Any]:
    while True:
        change_set = _describe_change_set(cloudformation, stack, name)
        if change_set is None:
            raise ActionFailedError(JOB_FAILED, f"ChangeSet [{name}] of the stack {stack} was deleted by someone else")
        if change_set["Status"] in {"CREATE_COMPLETE", "FAILED"}:
            return change_set
        work.pause(stacks.POLL_SECONDS)


def _empty(change_set: Mapping[str, Any]) -> bool:
    return change_set["Status"] == "FAILED" and _says_no_changes(change_set.get("StatusReason", ""))


def _says_no_changes(text: str) -> bool:
    return any(words in text for words in NO_CHANGES)


def _page(work: Work, stack_id: str) -> str:
    return (
        f"https://console.aws.amazon.com/cloudformation/home?region={work.region}#/stacks/stackinfo?stackId={stack_id}"
    )
