"""Stacks whose first creation failed: nothing is in them, and CloudFormation refuses every update of them.

Left alone they would keep the next good commit from being deployed, for CodePipeline's change sets only update.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from pipeline import aws, names
from pipeline.errors import PipelineError
from pipeline.settings import Settings

PARTS = ("airflow", "tasks", "network")  # the later one uses the earlier: gone in this order
# An empty stack is deleted in seconds; what is kept of it for longer is not empty.
DELETE_SECONDS = 300
POLL_SECONDS = 2


def never_created(statuses: Mapping[str, str]) -> Sequence[str]:
    """The stacks to delete, of stack → status.

    | status                   | delete                                                    |
    | ------------------------ | --------------------------------------------------------- |
    | ROLLBACK_COMPLETE        | yes: its creation failed and was undone                   |
    | UPDATE_ROLLBACK_COMPLETE | no: it is as it was before the update                     |
    | ROLLBACK_FAILED          | no: something is left in it that a person must look at    |
    | any other                | no                                                        |
    """
    return [stack for stack, status in statuses.items() if status == "ROLLBACK_COMPLETE"]


def clear(settings: Settings, account: str, say: Callable[[str], None]) -> None:
    """Delete them, in every environment.

    Args:
        settings: The project's.
        account: The pipeline's, for environments that name none.
        say: Takes a line for each.

    Raises:
        PipelineError: CloudFormation may not be asked, or a deletion failed.
    """
    for environment, wanted in settings.environments.items():
        region = settings.region_of(environment)
        stacks = [names.stack(settings, environment, part) for part in PARTS]
        there = wanted.account or account
        session = aws.assume(names.deploy_role(there, region), f"clear-{environment}", region, _only(stacks))
        cloudformation = session.client("cloudformation")
        try:
            for stack in never_created({name: _status(cloudformation, name) for name in stacks}):
                say(f"{stack}: its first creation failed; deleting what is left of it")
                cloudformation.delete_stack(StackName=stack)
                cloudformation.get_waiter("stack_delete_complete").wait(
                    StackName=stack, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": DELETE_SECONDS // POLL_SECONDS}
                )
        except (ClientError, BotoCoreError, WaiterError) as error:
            raise PipelineError(str(error), where=f"the stacks of {environment}") from None


def _status(cloudformation: Any, stack: str) -> str:
    """A stack's status; "" where there is none."""
    try:
        return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return ""
        raise


def _only(stacks: Sequence[str]) -> str:
    """A session policy: of all that CDK's deploy role may do, no more than this."""
    resources = [f"arn:aws:cloudformation:*:*:stack/{stack}/*" for stack in stacks]
    actions = ["cloudformation:DescribeStacks", "cloudformation:DeleteStack"]
    allowed = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
