"""What a deployed environment consists of, read from the outputs of its stacks."""

import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline import aws, names
from pipeline.errors import PipelineError
from pipeline.names import Outputs
from pipeline.settings import Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import TaskDefinitionTypeDef


class NotDeployedError(PipelineError):
    """An environment has no stacks yet."""


@dataclass(frozen=True)
class Deployment:
    """The AWS resources of an environment.

    Attributes:
        bucket: The bucket MWAA reads.
        airflow_environment: The MWAA environment's name.
        task_definitions: Container → task definition ARN with revision.
        log_group: Where the containers log; the stream prefix is the container's name.
    """

    environment: str
    account: str
    region: str
    bucket: str
    airflow_environment: str
    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    data_bucket: str
    task_definitions: Mapping[str, str]
    log_group: str


def environment_session(settings: Settings, environment: str, *, reads_only: bool) -> "tuple[boto3.Session, str]":
    """A session in the role that may release to an environment, or only look at it, and the account it is in.

    Raises:
        UsageError: There is no environment of that name in the settings.
        PipelineError: AWS does not know the caller, or the role cannot be assumed.
    """
    region = settings.region_of(environment)
    account = settings.environment(environment).account or settings.account or aws.account(aws.session(region))
    role_of = names.reader_role if reads_only else names.release_role
    role = role_of(settings, environment, account)
    return aws.assume(role, f"release-{environment}", region), account


def find(session: "boto3.Session", settings: Settings, environment: str, account: str) -> Deployment:
    """The environment as its stacks describe it.

    Raises:
        NotDeployedError: A stack is missing.
        PipelineError: An output is missing.
    """
    cloudformation = session.client("cloudformation")
    stacks = [names.stack(settings, environment, part) for part in ("airflow", "tasks")]
    with ThreadPoolExecutor(len(stacks)) as pool:
        airflow, tasks = pool.map(partial(_Stack, cloudformation), stacks)
    return Deployment(
        environment=environment,
        account=account,
        region=settings.region_of(environment),
        bucket=airflow.output(Outputs.BUCKET),
        airflow_environment=airflow.output(Outputs.AIRFLOW_ENVIRONMENT),
        cluster=tasks.output(Outputs.CLUSTER),
        subnets=_listed(tasks.output(Outputs.SUBNETS)),
        security_groups=_listed(tasks.output(Outputs.SECURITY_GROUP)),
        data_bucket=tasks.output(Outputs.DATA_BUCKET),
        task_definitions=tasks.json_output(Outputs.TASK_DEFINITIONS),
        log_group=tasks.output(Outputs.LOG_GROUP),
    )


def images(session: "boto3.Session", task_definitions: Mapping[str, str]) -> dict[str, str]:
    """Container → image reference of its task definition's revision.

    Args:
        session: In the release role.
        task_definitions: Container → ARN with revision. A revision never changes, so only new ones need asking for.

    Raises:
        PipelineError: ECS does not know a revision, or refuses to say.
    """
    if not task_definitions:
        return {}
    ecs = session.client("ecs")
    return {name: _image(described(ecs, arn), name) for name, arn in task_definitions.items()}


def refuse_deregistered(session: "boto3.Session", task_definitions: Collection[str]) -> None:
    """Nothing, unless ECS starts no task any more of one of these revisions: DAGs that name it would all fail.

    Args:
        session: In the release role.
        task_definitions: ARNs with revision.

    Raises:
        PipelineError: A revision was deregistered, ECS does not know it, or refuses to say.
    """
    if not task_definitions:
        return
    ecs = session.client("ecs")
    for arn in task_definitions:
        if described(ecs, arn).get("status") == "INACTIVE":
            raise PipelineError(
                "somebody deregistered this revision of the task definition, so ECS starts no task of it any more",
                where=arn,
                mend="Choose another release, or push this one's commit again: its stacks register a new revision.",
            )


def described(ecs: "ECSClient", arn: str) -> "TaskDefinitionTypeDef":
    """A task definition, as ECS describes it.

    Raises:
        PipelineError: ECS does not know it, or refuses to say.
    """
    try:
        return ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(f"ECS does not describe the task definition: {error}", where=arn) from None


def _image(definition: "TaskDefinitionTypeDef", container: str) -> str:
    definitions = definition.get("containerDefinitions", [])
    own = [each for each in definitions if each.get("name") == container] or definitions
    return own[0].get("image", "") if own else ""


class _Stack:
    """A stack's outputs, with errors that name the stack."""

    def __init__(self, cloudformation: "CloudFormationClient", name: str) -> None:
        self.name = name
        try:
            stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ValidationError":
                raise PipelineError(f"CloudFormation does not describe the stack: {error}", where=name) from None
            stacks = []
        except BotoCoreError as error:
            raise PipelineError(f"CloudFormation cannot be reached: {error}", where=name) from None
        if not stacks:
            raise NotDeployedError(
                "the stack does not exist: the environment is not deployed",
                where=name,
                mend="Let the pipeline deploy it: its stacks come before the sync.",
            )
        self._outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}

    def output(self, key: str) -> str:
        try:
            return self._outputs[key]
        except KeyError:
            raise PipelineError(
                f"the stack has no output {key!r}; it has: {', '.join(sorted(self._outputs)) or 'none'}",
                where=self.name,
                mend="It was deployed by another version of the pipeline: deploy it again.",
            ) from None

    def json_output(self, key: str) -> dict[str, str]:
        text = self.output(key)
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise PipelineError(f"the output {key!r} is not JSON: {error}", where=self.name) from None
        if not isinstance(value, dict) or not all(isinstance(arn, str) for arn in value.values()):
            raise PipelineError(f"the output {key!r} is no JSON object of texts: {text}", where=self.name)
        return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
