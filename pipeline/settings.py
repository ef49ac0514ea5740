"""`cdk.json`'s `context.pipeline` as typed, validated values: everything a team configures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pipeline.errors import UsageError

SETTINGS_FILE = "cdk.json"

# Names become parts of stack, role, bucket and repository names; the strictest of those (ECR, S3) decides.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]\Z")]
Account = Annotated[str, StringConstraints(pattern=r"^\d{12}\Z")]
RoleArn = Annotated[str, StringConstraints(pattern=r"^arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+\Z")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d\Z")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+\Z")]  # of an environment variable
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*\Z")]  # the system ends texts at a zero byte
LONGEST = 28_800.0  # seconds: no build of CodeBuild lasts longer
AirflowClass = Literal["mw1.micro", "mw1.small", "mw1.medium", "mw1.large", "mw1.xlarge", "mw1.2xlarge"]

Policy = Literal["deny", "warn", "off"]
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*\Z")]  # an id of BuildKit, a file's name


def _below_dags(pattern: str) -> str:
    if pattern.startswith(("/", "dags/")):
        below = pattern.lstrip("/").removeprefix("dags/") or "*"
        raise ValueError(f"patterns are relative to dags/, so it would match nothing: write {below!r}")
    return pattern


DagId = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,50}\Z")]
KeepPattern = Annotated[str, StringConstraints(min_length=1), AfterValidator(_below_dags)]


class _Settings(BaseModel):
    # Python's own regular expressions: pydantic's take every command a thirtieth of a second to compile.
    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="python-re")


class Airflow(_Settings):
    """The Airflow every environment runs.

    The version is not checked against the SDK's list, which lags behind the service.
    """

    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+\Z")]


class DagTests(_Settings):
    """How DAGs are tested. The rules and their own levels: `pipeline test dags --rules`.

    Attributes:
        rules: Rule → `deny` (fails the test), `warn` (tells) or `off`, where it is not the rule's own level.
        exceptions: Rule → patterns of files, from the project's folder, that it says nothing of.
        seconds: How long importing one file may take; Airflow's own limit is 30.
        parse_seconds: The budget of the rule `parse-time`.
        printed_bytes: How much a file may print while it is parsed.
        budget: Seconds for all files together.
        owners: Patterns of owners that the rule `owners` knows.
        tags: Patterns of tags that the rule `tags` knows.
        retries: The least that the rule `retries` demands.
        on_workers: Patterns of `DAG.TASK` that may work on Airflow's workers.
        variables: Airflow variables that DAG files find while they are tested.
        connections: Airflow connections, as URIs, that they find.
        environment: Environment variables that they find, like those that startup.sh sets.
    """

    rules: Mapping[str, Literal["deny", "warn", "off"]] = {}
    exceptions: Mapping[str, tuple[str, ...]] = {}
    seconds: Annotated[float, Field(gt=0, le=LONGEST)] = 30.0
    parse_seconds: Annotated[float, Field(gt=0, le=LONGEST)] = 10.0
    printed_bytes: Annotated[int, Field(ge=0)] = 100_000
    budget: Annotated[float, Field(gt=0, le=LONGEST)] = 1800.0
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    retries: Annotated[int, Field(ge=0)] = 1
    on_workers: tuple[str, ...] = ()
    variables: Mapping[VariableName, Text] = {}
    connections: Mapping[VariableName, Text] = {}
    environment: Mapping[VariableName, Text] = {}


class Environment(_Settings):
    """One MWAA environment with its bucket, ECS cluster and task definitions.

    Attributes:
        keep: Patterns of keys below `dags/`, and relative to it, that the sync never touches. `*` also matches `/`:
            `team/*`, `team/` and `team` all mean the folder and all in it, `*.json` every JSON file. The pipeline's own
            `_release.json` is never kept.
    """

    account: Account | None = None
    region: Region | None = None
    approval: bool = False
    releasers: tuple[RoleArn, ...] = ()  # who, beside the pipeline, may sync and roll back from a machine of their own
    airflow_class: AirflowClass = "mw1.small"
    min_workers: Annotated[int, Field(ge=1)] = 1
    max_workers: Annotated[int, Field(ge=1)] = 2
    airflow_options: Mapping[str, str] = {}
    worker_replacement: Literal["GRACEFUL", "FORCED"] = "GRACEFUL"
    keep: tuple[KeepPattern, ...] = ()
    canary: DagId | None = None  # a DAG each release runs
    # Seconds for which a sync that changes images waits for runs of DAGs that use them: most daily runs end in that
    # time, and a run that lasts for hours holds no release up. At most what the release's build step has to spare.
    wait_for_runs: Annotated[int, Field(ge=0, le=3600)] = 900

    @model_validator(mode="after")
    def _has_room_for_its_workers(self) -> "Environment":
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers ({self.min_workers}) is more than max_workers ({self.max_workers})")
        return self


class Checks(_Settings):
    """What each check of images does with what it finds.

    `deny`: the image is not built, or not pushed, or the build fails; `warn`: it is said; `off`: it is not looked for.
    """

    lint: Policy = "warn"  # what hadolint says of the Dockerfile
    unpinned_base: Policy = "warn"  # a base image without a digest
    large_context: Policy = "warn"
    secrets: Policy = "deny"  # secrets in the files that the build is sent
    sbom: Policy = "warn"  # an image whose contents cannot be listed
    scan: Policy = "warn"  # what the registry's scan found


class BuildSecret(_Settings):
    """Where a secret of image builds comes from: a file of the project, or a secret of Secrets Manager."""

    file: str = ""
    secret: str = ""

    @model_validator(mode="after")
    def _has_one_source(self) -> "BuildSecret":
        if bool(self.file) == bool(self.secret):
            raise ValueError("expected either `file` or `secret`")
        return self


class Images(_Settings):
    """How images are built and judged.

    Attributes:
        checks: What is done with findings.
        context_limit: MB that a build context may have before it is suspicious.
        scan_severity: The lowest severity of the registry's scan that counts as a finding.
        scan_seconds: How long to wait for the scan of an image that was just pushed.
        build_secrets: Name → source; a Dockerfile takes one by `RUN --mount=type=secret,id=NAME`. A corporate CA or the
            address of a package index comes in this way too, so that it is in no layer.
    """

    checks: Checks = Checks()
    context_limit: Annotated[float, Field(gt=0)] = 50
    scan_severity: Severity = "HIGH"
    scan_seconds: Annotated[float, Field(ge=0)] = 60
    build_secrets: Mapping[SecretName, BuildSecret] = {}


class Settings(_Settings):
    """The whole project. `environments` are in the order of deployment."""

    name: Name
    region: Region
    account: Account | None = None
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,100}\Z")]
    branch: Annotated[str, StringConstraints(min_length=1)] = "main"
    execution_mode: Literal["SUPERSEDED", "QUEUED", "PARALLEL"] = "SUPERSEDED"
    airflow: Airflow
    dag_tests: DagTests = DagTests()
    images: Images = Images()
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
        UsageError: The file is missing, cannot be read, is no JSON, or holds a wrong value.
    """
    path = folder / SETTINGS_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", mend="Run the command in the project's folder.") from None
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid JSON: {error}", where=str(path)) from None
    of_cdk = document.get("context") if isinstance(document, dict) else None
    context = of_cdk.get("pipeline") if isinstance(of_cdk, dict) else None
    if context is None:
        raise UsageError("context.pipeline is missing", where=str(path), mend="See README.md, Settings.")
    return parse(context)


def _sentence(problem: Mapping[str, Any]) -> str:
    place = ".".join(["context", "pipeline", *map(str, problem["loc"])])
    given = "" if problem["type"] == "missing" else f" (it is {problem['input']!r})"
    return f"{place}: {problem['msg']}{given}"
