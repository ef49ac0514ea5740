"""The values of a build's variables that come from Parameter Store and Secrets Manager."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipeline.localaws.codebuild.buildspec import Env
from pipeline.localaws.region import LocalRegion


class VariableError(Exception):
    """A variable has no value; `code` is what CodeBuild calls the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SecretReference:
    """`secret-id:json-key:version-stage:version-id`; all but the id may be empty, and the id may be an ARN."""

    secret: str
    key: str = ""
    stage: str = ""
    version: str = ""


def secret_reference(text: str) -> SecretReference:
    """Take a reference apart. An ARN is seven of the parts that colons make."""
    parts = text.split(":")
    length = 7 if text.startswith("arn:") else 1
    return SecretReference(":".join(parts[:length]), *parts[length : length + 3])


def resolve(
    region: LocalRegion, env: Env, project: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, str], frozenset[str]]:
    """All variables with their values, and the values that no log may show.

    The project's variables, with those of StartBuild among them, win over the buildspec's (user guide, "Environment
    variables in build environments").

    Raises:
        VariableError: A parameter, a secret or a key of a secret does not exist.
    """
    values: dict[str, str] = dict(env.variables)
    secret: dict[str, str] = {}
    secret |= {name: _parameter(region, source) for name, source in env.parameter_store.items()}
    secret |= {name: _secret(region, source) for name, source in env.secrets_manager.items()}
    for variable in project:
        name, value = variable["name"], variable["value"]
        kind = variable.get("type", "PLAINTEXT")
        if kind == "PLAINTEXT":
            secret.pop(name, None)
            values[name] = value
        else:
            secret[name] = _parameter(region, value) if kind == "PARAMETER_STORE" else _secret(region, value)
    return values | secret, frozenset(secret.values())


def _parameter(region: LocalRegion, name: str) -> str:
    try:
        return str(region.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except ClientError as error:
        code = "Decrypted Variables Error"
        raise VariableError(code, f"parameter {name}: {error.response['Error']['Code']}") from None


def _secret(region: LocalRegion, text: str) -> str:
    reference = secret_reference(text)
    versions = {"VersionStage": reference.stage, "VersionId": reference.version}
    code = "Secrets Manager Error"
    try:
        answer = region.client("secretsmanager").get_secret_value(
            SecretId=reference.secret, **{key: value for key, value in versions.items() if value}
        )
    except ClientError as error:
        raise VariableError(code, f"secret {reference.secret}: {error.response['Error']['Code']}") from None
    value = str(answer.get("SecretString", ""))
    if not reference.key:
        return value
    try:
        found = json.loads(value)[reference.key]
    except (ValueError, KeyError, TypeError):
        raise VariableError(code, f"secret {reference.secret} is no JSON object with the key {reference.key}") from None
    return found if isinstance(found, str) else json.dumps(found)
