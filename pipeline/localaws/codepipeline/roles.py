"""Clients in the role of an action, as CodePipeline assumes it."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.localaws.codepipeline.actions.work import PERMISSION_ERROR, ActionFailedError
from pipeline.localaws.region import LocalRegion

SESSION_NAME_LENGTH = 64  # API reference, AssumeRole: RoleSessionName


class Roles:
    """Assumes roles at our own endpoint and makes clients with their credentials."""

    def __init__(self, region: LocalRegion) -> None:
        self._region = region
        self._session: Any = boto3.Session(region_name=region.region)
        self._lock = Lock()  # making a client is not safe between threads (boto3 guide, Session)

    def clients(self, role: str, session: str) -> Callable[[str], Any]:
        """A function that makes clients of services in a role.

        Args:
            role: ARN of the role.
            session: The name of the session, as CloudTrail would show it.

        Raises:
            ActionFailedError: The role does not exist or cannot be assumed.
        """
        key = self._assume(role, session)
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            with self._lock:
                if service not in made:
                    made[service] = self._session.client(
                        service,
                        endpoint_url=self._region.endpoint,
                        aws_access_key_id=key["AccessKeyId"],
                        aws_secret_access_key=key["SecretAccessKey"],
                        aws_session_token=key["SessionToken"],
                        config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
                    )
                return made[service]

        return client

    def _assume(self, role: str, session: str) -> Any:
        self._require(role)
        try:
            answer = self._region.client("sts").assume_role(RoleArn=role, RoleSessionName=session[:SESSION_NAME_LENGTH])
        except ClientError as error:
            raise ActionFailedError(
                PERMISSION_ERROR, f"CodePipeline is not authorized to perform AssumeRole on role {role}: {error}"
            ) from None
        return answer["Credentials"]

    def _require(self, role: str) -> None:
        """Moto lets anybody assume a role that does not exist; IAM knows better, for roles of our own account."""
        account, _, name = role.partition(":role/")
        if account.rpartition(":")[2] != self._region.account:
            return
        try:
            self._region.client("iam").get_role(RoleName=name.rpartition("/")[2])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            raise ActionFailedError(
                PERMISSION_ERROR,
                f"CodePipeline is not authorized to perform AssumeRole on role {role}: the role does not exist",
            ) from None
