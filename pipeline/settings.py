"""`cdk.json`'s `context.pipeline` as typed, validated values: everything a team configures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pipeline.errors import UsageError

SETTINGS_FILE = "cdk.json"

# Names become parts of stack, role, bucket and repository names; the strictest of those (ECR, S3) decides.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$")]
Account = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
AirflowClass = Literal["mw1.micro", "mw1.small", "mw1.medium", "mw1.large", "mw1.xlarge", "mw1.2xlarge"]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Airflow(_Settings):
    """The Airflow every environment runs.

    The version is not checked against the SDK's list, which lags behind the service.
    """

    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]


class Environment(_Settings):
    """One MWAA environment with its bucket, ECS cluster and task definitions."""

    account: Account | None = None
    region: Region | None = None
    approval: bool = False
    airflow_class: AirflowClass = "mw1.small"
    min_workers: Annotated[int, Field(ge=1)] = 1
    max_workers: Annotated[int, Field(ge=1)] = 2
    airflow_options: Mapping[str, str] = {}
    worker_replacement: Literal["GRACEFUL", "FORCED"] = "GRACEFUL"
    keep: tuple[str, ...] = ()  # globs of keys below dags/ that the sync never touches


class Settings(_Settings):
    """The whole project. `environments` are in the order of deployment."""

    name: Name
    region: Region
    account: Account | None = None
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,100}$")]
    branch: Annotated[str, StringConstraints(min_length=1)] = "main"
    execution_mode: Literal["SUPERSEDED", "QUEUED", "PARALLEL"] = "SUPERSEDED"
    airflow: Airflow
    environments: Mapping[Name, Environment]

    @model_validator(mode="after")
    def _has_an_environment(self) -> "Settings":
        if not self.environments:
            raise ValueError("at least one environment is needed")
        return self

    def environment(self, name: str) -> Environment:
        """The environment of that name.

        Raises:
            UsageError: There is none.
        """
        try:
            return self.environments[name]
        except KeyError:
            known = ", ".join(self.environments)
            raise UsageError(f"there is no environment {name!r}; there are: {known}", where=SETTINGS_FILE) from None

    def region_of(self, environment: str) -> str:
        """The environment's own region, else the pipeline's."""
        return self.environment(environment).region or self.region


def parse(context: object) -> Settings:
    """Settings from the value under `context.pipeline`.

    Raises:
        UsageError: Names every wrong value, where it stands and what was expected.
    """
    try:
        return Settings.model_validate(context)
    except ValidationError as error:
        lines = [_sentence(dict(problem)) for problem in error.errors()]
        raise UsageError(
            "; ".join(lines), where=SETTINGS_FILE, mend=f"Correct {SETTINGS_FILE} and try again."
        ) from None


def load(folder: Path) -> Settings:
    """Settings from the `cdk.json` in `folder`.

    Raises:
        UsageError: The file is missing, is no JSON, or holds a wrong value.
    """
    path = folder / SETTINGS_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", mend="Run the command in the project's folder.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid JSON: {error}", where=str(path)) from None
    context = document.get("context", {}).get("pipeline") if isinstance(document, dict) else None
    if context is None:
        raise UsageError("context.pipeline is missing", where=str(path), mend="See README.md, Settings.")
    return parse(context)


def _sentence(problem: Mapping[str, Any]) -> str:
    place = ".".join(["context", "pipeline", *map(str, problem["loc"])])
    given = "" if problem["type"] == "missing" else f" (it is {problem['input']!r})"
    return f"{place}: {problem['msg']}{given}"
