"""A buildspec as typed, validated values.

Source: CodeBuild user guide, "Build specification reference for CodeBuild", version 0.2. What we do not do is refused
by the name of its key, so that a buildspec never seems to work here and then does something else on AWS.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import PipelineError

PhaseName = Literal["install", "pre_build", "build", "post_build"]
OnFailure = Literal["ABORT", "CONTINUE"]
ReportFormat = Literal["JUNITXML", "NUNITXML", "NUNIT3XML", "COBERTURAXML"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_HERE = {
    "batch": "batch builds",
    "proxy": "an explicit proxy server",
    "run-as": "running as another Linux user",
    "git-credential-helper": "the git credential helper",
    "s3-prefix": "an S3 prefix inside the artifact",
}


class BuildspecError(PipelineError):
    """The buildspec is no YAML, or a key of it is wrong."""


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        raise ValueError("must be a text; a text with ': ' in it must be quoted, else YAML takes it for a mapping")  # noqa: TRY004 - pydantic's way
    return value


def _yes_no(value: object) -> object:
    words = {"yes": True, "true": True, "no": False, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _list(value: object) -> object:
    """`commands:` with nothing after it is what people write for "none"; one text (as CDK writes) is a list of one."""
    if value in (None, ""):
        return ()
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_list)]
TextMap = Annotated[Mapping[str, Text], BeforeValidator(lambda value: {} if value in (None, "") else value)]
YesNo = Annotated[bool, BeforeValidator(_yes_no)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: name.rstrip("_").replace("_", "-")
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_is_not_done(cls, value: object) -> object:
        if isinstance(value, Mapping):
            for key in _NOT_HERE.keys() & value.keys():
                if _yes_no(value[key]) is not False:
                    raise ValueError(f"`{key}`: the local AWS does not implement {_NOT_HERE[key]}")
            return {key: item for key, item in value.items() if key not in _NOT_HERE}
        return value


class Env(_Part):
    """`env`: variables, where secret ones come from, and which ones later pipeline actions may read."""

    shell: Literal["bash", "sh", "/bin/sh", "/bin/bash"] = "sh"
    variables: TextMap = {}
    parameter_store: TextMap = {}
    secrets_manager: TextMap = {}
    exported_variables: Texts = ()

    @field_validator("exported_variables")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable")
        return value


class Phase(_Part):
    """One of the four phases people write commands for."""

    commands: Texts = ()
    finally_: Texts = ()
    on_failure: OnFailure | None = None
    runtime_versions: TextMap = {}

    @field_validator("on_failure", mode="before")
    @classmethod
    def _no_retry(cls, value: object) -> object:
        if isinstance(value, str) and value.upper().startswith("RETRY"):
            raise ValueError(f"the local AWS does not implement {value}; it knows ABORT and CONTINUE")
        return value


class FileSet(_Part):
    """Files below a folder: what an artifact or a report is made of."""

    files: Texts
    base_directory: Text = "."
    discard_paths: YesNo = False

    @field_validator("files")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one pattern is needed")
        return value


class Artifact(FileSet):
    """`artifacts`, or one of `artifacts.secondary-artifacts`."""

    name: Text = ""
    exclude_paths: Texts = ()
    enable_symlinks: YesNo = False


class Report(FileSet):
    """One of `reports`."""

    file_format: ReportFormat = "JUNITXML"

    @field_validator("file_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class Cache(_Part):
    """`cache`: folders a later build finds again."""

    paths: Texts = ()


class Phases(_Part):
    """The phases by name; absent ones have no commands."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=None)

    install: Phase = Phase()
    pre_build: Phase = Phase()
    build: Phase = Phase()
    post_build: Phase = Phase()


class Buildspec(_Part):
    """A whole buildspec. `artifacts` is the primary artifact, None when there is none."""

    version: Literal["0.2"]
    env: Env = Env()
    phases: Phases
    artifacts: Artifact | None = None
    secondary_artifacts: Mapping[str, Artifact] = Field(default={}, exclude=True)
    reports: Mapping[str, Report] = {}
    cache: Cache = Cache()

    @model_validator(mode="before")
    @classmethod
    def _split_artifacts(cls, value: object) -> object:
        """`secondary-artifacts` stands inside `artifacts`, which then may have no files of its own."""
        if not isinstance(value, Mapping) or not isinstance(value.get("artifacts"), Mapping):
            return value
        own = dict(value["artifacts"])
        secondary = own.pop("secondary-artifacts", {})
        rest = {key: item for key, item in value.items() if key != "artifacts"}
        return rest | {"secondary-artifacts": secondary} | ({"artifacts": own} if own else {})


class _TextLoader(yaml.SafeLoader):
    """YAML whose plain scalars all stay text, as in CodeBuild: `yes`, `0.10` and `012` are not reinterpreted."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012 - PyYAML's own protocol


def parse(text: str, where: str = "buildspec") -> Buildspec:
    """A buildspec from YAML or JSON text.

    Raises:
        BuildspecError: Names each wrong key, what stands there and what was expected.
    """
    try:
        document: Any = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _TextLoader)  # noqa: S506 - a SafeLoader
    except (ValueError, yaml.YAMLError) as error:
        raise BuildspecError(f"not valid YAML: {error}", where=where) from None
    if not isinstance(document, Mapping):
        raise BuildspecError("must be a mapping with `version` and `phases`", where=where)
    try:
        return Buildspec.model_validate(document)
    except ValidationError as error:
        raise BuildspecError("; ".join(_sentence(dict(problem)) for problem in error.errors()), where=where) from None


def is_inline(buildspec: str) -> bool:
    """Whether a project's `buildspec` is the text itself; else it is a path in the source, or an S3 object's ARN."""
    return "\n" in buildspec or bool(re.match(r"\s*(\{|version\s*:)", buildspec))


def _sentence(problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"])).replace("secondary-artifacts", "artifacts.secondary-artifacts")
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{place}: there is no such key"
    given = (
        ""
        if problem["type"] == "missing" or isinstance(problem["input"], Mapping)
        else f" (it is {problem['input']!r})"
    )
    return f"{place}: {message}{given}" if place else f"{message}{given}"
