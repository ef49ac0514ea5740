"""`container.toml`: what a team declares about a container, as typed, validated values. Every key has a default.

task = true                        # false: only a base of others; it gets no task definition
base = "base"                      # another folder of containers/ that this one's Dockerfile starts from
cpu = 512                          # Fargate CPU units
memory = 1024                      # MiB
architecture = "ARM64"             # the one its task runs on: ARM64 or X86_64
other_architectures = ["X86_64"]   # those the image is built for besides, e.g. for developers' machines
target = "run"                     # the Dockerfile's stage to ship; its last one by default
arguments = { FLAVOUR = "slim" }   # Docker build arguments; not for secrets, they stay readable in the image
environment = { LOG_LEVEL = "INFO" }
secrets = { DB_PASSWORD = "etl/db" }

[[policy]]                         # IAM statements of the task's role
Effect = "Allow"
Action = ["s3:GetObject"]
Resource = "arn:aws:s3:::landing/*"
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import UsageError
from pipeline.images.dockerfile import BASE_ARGUMENT

DECLARATION_FILE = "container.toml"

Architecture = Literal["X86_64", "ARM64"]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _without_zero_bytes(value: str) -> str:
    if "\0" in value:
        raise ValueError("it has a zero byte, at which the system ends texts")
    return value


Text = Annotated[str, AfterValidator(_without_zero_bytes)]

# CPU units → the memory they may have, MiB (ECS developer guide, "Task CPU and memory" for Fargate).
FARGATE: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Statement(_Declared):
    """One IAM statement, in IAM's own words."""

    Sid: str | None = None
    Effect: Literal["Allow", "Deny"]
    Action: str | list[str]
    Resource: str | list[str]
    Condition: dict[str, dict[str, str | list[str]]] | None = None

    @field_validator("Action")
    @classmethod
    def _names_every_action(cls, value: str | list[str]) -> str | list[str]:
        actions = [value] if isinstance(value, str) else value
        for action in actions:
            if "*" in action or "?" in action:
                raise ValueError(f"the action {action!r} has a wildcard: name each action")
            if ":" not in action:
                raise ValueError(f"the action {action!r} is not of the form service:Action")
        return value


class Declaration(_Declared):
    """The content of a `container.toml`."""

    task: bool = True
    base: str | None = None
    cpu: int = 256
    memory: int = 512
    architecture: Architecture = "X86_64"
    other_architectures: list[Architecture] = Field(default_factory=list)
    target: str = ""
    arguments: dict[VariableName, Text] = Field(default_factory=dict)
    environment: dict[VariableName, Text] = Field(default_factory=dict)
    secrets: dict[VariableName, str] = Field(default_factory=dict)
    policy: list[Statement] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_fargate(self) -> "Declaration":
        if self.cpu not in FARGATE:
            raise ValueError(f"cpu = {self.cpu} is none of Fargate's: {_listed(FARGATE)}")
        if self.memory not in FARGATE[self.cpu]:
            fits = _listed(FARGATE[self.cpu])
            raise ValueError(f"memory = {self.memory} does not go with cpu = {self.cpu}; Fargate offers {fits} MiB")
        return self

    @model_validator(mode="after")
    def _names_each_variable_once(self) -> "Declaration":
        for name in sorted(self.environment.keys() & self.secrets.keys()):
            raise ValueError(f"{name} is both in environment and in secrets")
        if BASE_ARGUMENT in self.arguments:
            raise ValueError(f"{BASE_ARGUMENT} is given by the build; say base = … instead")
        return self

    def statements(self) -> tuple[Mapping[str, Any], ...]:
        """The policy as plain IAM statements."""
        return tuple(statement.model_dump(exclude_none=True) for statement in self.policy)


def load(folder: Path) -> Declaration:
    """The declaration of a container; all defaults when it has no `container.toml`.

    Raises:
        UsageError: It cannot be read, is no TOML, or has a wrong value; names every one of them.
    """
    path = folder / DECLARATION_FILE
    mend = f"Let {path} be a readable, plain file."
    try:
        if path.exists() and not path.is_file():  # to read a pipe would wait for its writer
            raise UsageError("the file cannot be read: it is no plain file", where=str(path), mend=mend)
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return Declaration()
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path), mend=mend) from None
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of an integer's length, of lists in lists
        raise UsageError(f"not valid TOML: {error}", where=str(path), mend=f"Correct {path} and try again.") from None
    try:
        return Declaration.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(_sentence(dict(problem)) for problem in error.errors())
        raise UsageError(problems, where=str(path), mend=f"Correct {path} and try again.") from None


def _sentence(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a key of {DECLARATION_FILE}; the keys are {_listed(Declaration.model_fields)}"
    return f"{place}: {message}" if place else message


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))
