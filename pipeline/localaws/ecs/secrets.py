"""Where the value of a container's secret is, and reading it (ECS developer guide, "Specifying sensitive data").

| valueFrom | service | read |
| --- | --- | --- |
| `NAME`, `arn:aws:ssm:…:parameter/NAME` | SSM | the parameter, decrypted |
| `arn:aws:secretsmanager:…:secret:NAME` | Secrets Manager | the secret's current text |
| `…:secret:NAME:KEY:STAGE:VERSION`, some of them empty | Secrets Manager | KEY of its JSON, at STAGE or VERSION |
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

_SECRET_PARTS = 7  # of an ARN of Secrets Manager, up to and with the secret's name
_ALL_PARTS = 10


class SourceError(ValueError):
    """The text is none of the forms above."""


class SecretError(Exception):
    """The value could not be had; the message is in ECS's words."""


@dataclass(frozen=True)
class SecretSource:
    """Where a value is. `key`, `stage` and `version` are of Secrets Manager; "" when not asked for."""

    service: Literal["ssm", "secretsmanager"]
    name: str
    key: str = ""
    stage: str = ""
    version: str = ""


def parse(value_from: str) -> SecretSource:
    """The source that a `valueFrom` names.

    Raises:
        SourceError: It names none.
    """
    parts = value_from.split(":")
    service = parts[2] if value_from.startswith("arn:") and len(parts) > 2 else "ssm"  # noqa: PLR2004 - arn:aws:SERVICE
    if service == "secretsmanager":
        if len(parts) not in (_SECRET_PARTS, _ALL_PARTS):
            raise SourceError(f"{value_from!r} is no secret: expected …:secret:NAME or …:secret:NAME:KEY:STAGE:VERSION")
        return SecretSource("secretsmanager", ":".join(parts[:_SECRET_PARTS]), *parts[_SECRET_PARTS:])
    if service == "ssm":
        # The name of arn:…:parameter/a/b is /a/b; that of arn:…:parameter/a may be /a or a: SSM takes the ARN itself.
        return SecretSource("ssm", value_from)
    raise SourceError(f"{value_from!r} is of {service}: a secret is of ssm or secretsmanager")


def read(source: SecretSource, client: Callable[[str], Any]) -> str:
    """The value.

    Args:
        source: Where it is.
        client: A boto3 client for a service.

    Raises:
        SecretError: There is none, or it has not the key that is asked for.
    """
    try:
        return _parameter(source, client("ssm")) if source.service == "ssm" else _secret(source, client)
    except ClientError as error:
        answer = error.response["Error"]
        what, where = ("secrets", "ssm") if source.service == "ssm" else ("secret", "asm")
        raise SecretError(
            f"unable to retrieve {what} from {where}: service call has been retried 1 time(s): "
            f"failed to fetch secret {source.name}: {answer['Code']}: {answer['Message']}"
        ) from None


def _parameter(source: SecretSource, ssm: Any) -> str:
    name = source.name.partition(":parameter")[2] or source.name
    try:
        return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        if name == source.name:
            raise
    return str(ssm.get_parameter(Name=name.removeprefix("/"), WithDecryption=True)["Parameter"]["Value"])


def _secret(source: SecretSource, client: Callable[[str], Any]) -> str:
    chosen = {"VersionStage": source.stage, "VersionId": source.version}
    asked = {name: value for name, value in chosen.items() if value}
    text = str(client("secretsmanager").get_secret_value(SecretId=source.name, **asked)["SecretString"])
    if not source.key:
        return text
    try:
        return str(json.loads(text)[source.key])
    except (ValueError, KeyError, TypeError):
        raise SecretError(f"retrieved secret from Secrets Manager did not contain json key {source.key}") from None
