"""What a container.toml says, made concrete for one environment: its policy and its secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import names
from pipeline.errors import UsageError
from pipeline.images.containers import Container

DECLARATION_FILE = "container.toml"
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True)
class Secret:
    """A secret of a task.

    Attributes:
        variable: The environment variable that gets its value.
        value_from: The ARN as the task definition names it.
        resource: The ARN as IAM names it.
        action: What ECS must be allowed in order to read it.
    """

    variable: str
    value_from: str
    resource: str
    action: str


def statements(container: Container, values: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """The container's IAM statements with every `${Name}` replaced.

    IAM's own policy variables, `${aws:…}`, are left alone.

    Args:
        container: The container.
        values: Placeholder → value.

    Raises:
        UsageError: A placeholder has no value; names it and those there are.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if ":" in name:
            return match[0]
        if name not in values:
            raise UsageError(
                f"the policy says ${{{name}}}; there are: {', '.join(f'${{{known}}}' for known in sorted(values))}",
                where=str(container.folder / DECLARATION_FILE),
            )
        return values[name]

    def filled(node: Any) -> Any:
        if isinstance(node, str):
            return _PLACEHOLDER.sub(value, node)
        if isinstance(node, Mapping):
            return {key: filled(member) for key, member in node.items()}
        return [filled(member) for member in node]

    return tuple(filled(statement) for statement in container.policy)


def secrets(container: Container, account: str, region: str) -> tuple[Secret, ...]:
    """The container's secrets, sorted by variable.

    | container.toml says                                        | IAM resource                        |
    | ---------------------------------------------------------- | ----------------------------------- |
    | `etl/db`: the name of a secret in the environment's place  | `…:secret:etl/db-??????`            |
    | `arn:aws:secretsmanager:R:A:secret:etl/db-a1B2c3:KEY::`    | `…:secret:etl/db-a1B2c3`            |
    | `arn:aws:ssm:R:A:parameter/etl/db`                         | the same                            |

    Secrets Manager appends six characters to a secret's name, and lets a task definition name one key of it (ECS
    developer guide, "Pass Secrets Manager secrets through environment variables").

    Raises:
        UsageError: An ARN of another service.
    """
    return tuple(_secret(container, name, value, account, region) for name, value in sorted(container.secrets.items()))


def _secret(container: Container, variable: str, value: str, account: str, region: str) -> Secret:
    arn = names.secret_arn(value, account, region)
    if arn != value:
        return Secret(variable, arn, f"{arn}-??????", "secretsmanager:GetSecretValue")
    parts = value.split(":")
    match parts[2]:
        case "secretsmanager":
            return Secret(variable, value, ":".join(parts[:7]), "secretsmanager:GetSecretValue")
        case "ssm":
            return Secret(variable, value, value, "ssm:GetParameters")
        case other:
            raise UsageError(
                f"the secret {variable} is in {other}; ECS takes secrets from secretsmanager and ssm",
                where=str(container.folder / DECLARATION_FILE),
            )
