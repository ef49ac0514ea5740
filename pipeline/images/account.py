"""The account whose registry counts: the pipeline's, whoever is logged in."""

import boto3

from pipeline import aws
from pipeline.errors import PipelineError
from pipeline.images.ecr import asking
from pipeline.settings import SETTINGS_FILE, Settings


def registry_session(configured: Settings) -> boto3.Session:
    """The caller's session in the region of the registry; one request where cdk.json names the account, else none.

    Without this, every image of somebody who is logged in elsewhere would be that of a new container.

    Raises:
        PipelineError: The caller belongs to another account, or AWS does not know them.
    """
    session = aws.session(configured.region)
    if not configured.account:
        return session
    with asking("the registry"):
        account = aws.account(session)
    if account != configured.account:
        raise PipelineError(
            f"the images are in the account {configured.account}, and you are logged in to {account}",
            where=f"{SETTINGS_FILE}: account",
            mend=f"Log in to {configured.account}, or correct `account`.",
        )
    return session
