"""How the command reaches AWS: sessions and roles. The endpoint comes from the environment, as for any AWS client."""

from functools import cache

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader

from pipeline.errors import PipelineError

LOG_IN = 'Log in to AWS, or for the local AWS run: eval "$(pipeline local env)"'


class _Taken(CredentialProvider):
    """Gives a session the credentials of a role; botocore asks its providers in turn, and this is the only one."""

    METHOD = "assume-role"

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> DeferredRefreshableCredentials:
        """Called when the session's first client needs them."""
        return self._credentials


@cache
def _loader() -> Loader:
    """The descriptions of AWS's services. To find and read them anew for each session takes longer than to sync."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader


def _core() -> botocore.session.Session:
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return core


def session(region: str) -> boto3.Session:
    """The caller's own credentials, in a region."""
    return boto3.Session(botocore_session=_core(), region_name=region)


def assume(role_arn: str, name: str, region: str, policy: str | None = None) -> boto3.Session:
    """A session in a role that is taken anew before it ends: a graceful release outlasts a role's one hour.

    Args:
        role_arn: The role.
        name: The session's name, as CloudTrail will show it.
        region: The region of the session's clients.
        policy: A policy, as JSON, that the session is held to beside the role's own.

    Raises:
        PipelineError: The role does not exist or may not be assumed.
    """
    own = session(region)
    source = own.get_credentials()
    if source is None:
        raise PipelineError("there are no AWS credentials", mend='Sign in, or: eval "$(pipeline local env)"')
    try:
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=own.client,
            source_credentials=source,
            role_arn=role_arn,
            extra_args={"RoleSessionName": name, **({"Policy": policy} if policy else {})},
        )
        credentials = DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
        credentials.get_frozen_credentials()  # now, while a refusal can be told with the role's name
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"cannot assume the role: {error}",
            where=role_arn,
            mend="Is the environment deployed, and are you allowed to take this role (`releasers` in cdk.json)?",
        ) from None
    taken = _core()
    taken.register_component("credential_provider", CredentialResolver([_Taken(credentials)]))
    return boto3.Session(botocore_session=taken, region_name=region)


def account(of: boto3.Session) -> str:
    """The account a session's credentials belong to."""
    try:
        return str(of.client("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"AWS does not know who is calling: {error}",
            mend=LOG_IN,
        ) from None
