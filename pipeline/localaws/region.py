"""The one account and region of the local AWS, and how its services call each other: by API, as in AWS."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"  # moto's default: what any credentials belong to unless they came from AssumeRole
ACCESS_KEY = "local"
SECRET_KEY = "local"  # noqa: S105 - opens nothing: the server is on loopback and checks no signature
TEMPORARY = "tmp"  # below the region's folder


@dataclass(frozen=True)
class LocalRegion:
    """Where the local AWS answers and where it keeps its files.

    Attributes:
        endpoint: Base URL of every API, `http://127.0.0.1:PORT`.
        region: The AWS region it plays.
        folder: Everything it writes lies below this folder; each service takes a folder of its own name.
        account: The account that plain credentials belong to.
    """

    endpoint: str
    region: str
    folder: Path
    account: str = ACCOUNT

    def client(self, service: str) -> Any:
        """A boto3 client for a service, at this endpoint. Clients are cached and safe to share between threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,
                    endpoint_url=self.endpoint,
                    config=Config(
                        retries={"max_attempts": 1},
                        read_timeout=900,
                        max_pool_connections=50,
                        inject_host_prefix=False,
                    ),
                )
            return self._clients[service]

    def environment(self) -> dict[str, str]:
        """The variables that point any AWS client, in any language, at this region."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            # MWAA's model puts "api." before the host, which is an IP address here.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }

    def temporary_folder(self, prefix: str) -> "TemporaryDirectory[str]":
        """A folder for one piece of work; one that a killed server leaves is removed by the next start or stop."""
        parent = self.folder / TEMPORARY
        parent.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)

    @cached_property
    def _session(self) -> Any:  # not boto3.Session: its typed client() takes only literal names
        return boto3.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=self.region)

    @cached_property
    def _lock(self) -> Lock:
        return Lock()

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}
