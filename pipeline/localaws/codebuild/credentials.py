"""Temporary credentials of a project's service role, from STS, as CodeBuild gives them to a build."""

from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.region import LocalRegion


def of_role(region: LocalRegion, role: str, build: str) -> dict[str, str]:
    """The variables that make AWS clients act as the service role.

    Raises:
        PipelineError: There is no such role.
    """
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{region.account}:role/{role.lstrip('/')}"
    if arn.split(":")[4] == region.account:  # STS here hands out keys for roles that do not exist
        try:
            region.client("iam").get_role(RoleName=arn.rpartition("/")[2])
        except ClientError as error:
            raise PipelineError(
                f"CodeBuild is not authorized to perform: sts:AssumeRole on {arn}: {error.response['Error']['Message']}"
            ) from None
    try:
        keys = region.client("sts").assume_role(RoleArn=arn, RoleSessionName=f"AWSCodeBuild-{build}")["Credentials"]
    except ClientError as error:
        raise PipelineError(f"CodeBuild is not authorized to perform: sts:AssumeRole on {arn}: {error}") from None
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
