"""An account and a region, and boto3 clients that work in them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

from pipeline.localaws.region import ACCESS_KEY, SECRET_KEY, LocalRegion

# moto hands out keys for a role of any name; they belong to the account the ARN names. This is how a stack of another
# account gets its resources there: plain keys always belong to the local AWS's own account.
_ROLE = "arn:aws:iam::{account}:role/cloudformation"


@dataclass(frozen=True)
class Place:
    """Where a stack lives.

    Attributes:
        account: Its account.
        region: Its region's name.
        client: A boto3 client of a service, working there.
    """

    account: str
    region: str
    client: Callable[[str], Any] = field(compare=False)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of a service here."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


class Places:
    """All accounts and regions in which stacks live, each entered once."""

    def __init__(self, local: LocalRegion) -> None:
        self._local = local
        self._lock = Lock()
        self._places: dict[tuple[str, str], Place] = {}

    def at(self, account: str, region: str) -> Place:
        """The place of an account and region."""
        with self._lock:
            key = (account, region)
            if key not in self._places:
                self._places[key] = self._enter(account, region)
            return self._places[key]

    def _enter(self, account: str, region: str) -> Place:
        if (account, region) == (self._local.account, self._local.region):
            return Place(account, region, self._local.client)
        if account == self._local.account:
            keys: dict[str, Any] = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        else:
            given = self._local.client("sts").assume_role(
                RoleArn=_ROLE.format(account=account), RoleSessionName="cloudformation"
            )["Credentials"]
            keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
        session: Any = boto3.Session(region_name=region, **keys)
        clients: dict[str, Any] = {}
        lock = Lock()

        def client(service: str) -> Any:
            with lock:
                if service not in clients:
                    clients[service] = session.client(
                        service,
                        endpoint_url=self._local.endpoint,
                        config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
                    )
                return clients[service]

        return Place(account, region, client)
