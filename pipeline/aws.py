"""How the command reaches AWS: sessions and roles. The endpoint comes from the environment, as for any AWS client."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError


def session(region: str) -> boto3.Session:
    """The caller's own credentials, in a region."""
    return boto3.Session(region_name=region)


def assume(role_arn: str, name: str, region: str) -> boto3.Session:
    """A session in a role, for the role's default hour.

    Args:
        role_arn: The role.
        name: The session's name, as CloudTrail will show it.
        region: The region of the session's clients.

    Raises:
        PipelineError: The role does not exist or may not be assumed.
    """
    try:
        answer = session(region).client("sts").assume_role(RoleArn=role_arn, RoleSessionName=name)
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"cannot assume the role: {error}",
            where=role_arn,
            mend="Is the environment deployed, and are you allowed to assume its release role?",
        ) from None
    key = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
        region_name=region,
    )


def account(of: boto3.Session) -> str:
    """The account a session's credentials belong to."""
    try:
        return of.client("sts").get_caller_identity()["Account"]
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"AWS does not know who is calling: {error}",
            mend='Log in to AWS, or for the local AWS run: eval "$(pipeline local env)"',
        ) from None
