"""A file of `buildspecs/` as a value: what CDK Pipelines must know about it, and the rest, which passes unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UsageError

FOLDER = Path("buildspecs")


@dataclass(frozen=True)
class BuildSpec:
    """One build step as written.

    CDK Pipelines renders commands, exported variables and artifacts itself and refuses some of them twice, so they are
    taken out of `rest`; merged again by CDK, they are the document that was read.

    Attributes:
        name: The file's name without `.yml`.
        install: Commands of the install phase.
        build: Commands of the build phase.
        exported: Names of the exported variables.
        output: The folder that becomes the step's artifact; None when it has none.
        reports: Names of the report groups.
        caches: Whether it names folders to keep between builds.
        rest: Everything else of the document.
    """

    name: str
    install: tuple[str, ...]
    build: tuple[str, ...]
    exported: tuple[str, ...]
    output: str | None
    reports: tuple[str, ...]
    caches: bool
    rest: Mapping[str, Any]


def load(name: str, folder: Path = FOLDER) -> BuildSpec:
    """Read a buildspec.

    Raises:
        UsageError: It is missing, is no YAML, or is no buildspec that CDK Pipelines can carry.
    """
    path = folder / f"{name}.yml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"the buildspec {path} does not exist", mend="Every build step has a file there.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid YAML: {error}", where=str(path)) from None
    return parse(name, document, where=str(path))


def parse(name: str, document: object, *, where: str) -> BuildSpec:
    """A buildspec from its document.

    Raises:
        UsageError: It is no buildspec that CDK Pipelines can carry.
    """
    if not isinstance(document, dict) or str(document.get("version")) != "0.2":
        raise UsageError('expected a buildspec of version: "0.2"', where=where)
    rest: dict[str, Any] = dict(document)
    phases = {phase: dict(content or {}) for phase, content in (rest.get("phases") or {}).items()}
    install = _lines(phases.get("install", {}).pop("commands", []))
    build = _lines(phases.get("build", {}).pop("commands", []))
    if not build:
        raise UsageError("phases.build.commands is empty: the step does nothing", where=where)
    rest["phases"] = {phase: content for phase, content in phases.items() if content}
    env = dict(rest.pop("env", None) or {})
    exported = _lines(env.pop("exported-variables", []))
    if env:
        rest["env"] = env
    return BuildSpec(
        name=name,
        install=install,
        build=build,
        exported=exported,
        output=_output(rest.pop("artifacts", None), where),
        reports=tuple(rest.get("reports") or ()),
        caches="cache" in rest,
        rest=rest,
    )


def _output(artifacts: Any, where: str) -> str | None:
    """The one folder that CDK Pipelines can hand on whole."""
    if artifacts is None:
        return None
    if set(artifacts) == {"base-directory", "files"} and _lines(artifacts["files"]) == ("**/*",):
        return str(artifacts["base-directory"])
    raise UsageError(
        f'artifacts can only be a whole folder, `base-directory: FOLDER` and `files: ["**/*"]`; it is {artifacts!r}',
        where=where,
    )


def _lines(value: Any) -> tuple[str, ...]:
    """A list, or CodeBuild's short form: one text."""
    return (value,) if isinstance(value, str) else tuple(value)
