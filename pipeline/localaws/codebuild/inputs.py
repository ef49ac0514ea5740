"""What a build starts from: its sources, its buildspec and its variables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.localaws.codebuild import buildspec as specs
from pipeline.localaws.codebuild import credentials, sources
from pipeline.localaws.codebuild.buildspec import Buildspec, BuildspecError
from pipeline.localaws.codebuild.environment import Host, Places, from_host
from pipeline.localaws.codebuild.records import BuildRecord
from pipeline.localaws.codebuild.variables import resolve
from pipeline.localaws.region import LocalRegion
from pipeline.process import run

# How to ask the host which version of a runtime it has.
_VERSION: Final = {
    "nodejs": "node",
    "golang": "go",
    "ruby": "ruby",
    "php": "php",
    "docker": "docker",
    "dotnet": "dotnet",
}


@dataclass(frozen=True)
class Prepared:
    """A build that is ready to run.

    Attributes:
        places: Its folders.
        source: The folder of the primary source.
        secondary: The folders of the others, by identifier.
        resolved: The commit or version of the primary source; "" when it has none.
        buildspec: What to do.
    """

    places: Places
    source: Path
    secondary: Mapping[str, Path]
    resolved: str
    buildspec: Buildspec


@dataclass(frozen=True)
class Values:
    """The build's environment, and those of its values that no log may show."""

    environment: dict[str, str]
    secret: frozenset[str]


def download(region: LocalRegion, record: BuildRecord, places: Places) -> Prepared:
    """Fetch the sources and read the buildspec.

    Raises:
        PipelineError: A source cannot be had.
        BuildspecError: The buildspec is missing or wrong.
    """
    build, inputs = record.snapshot(), record.inputs
    source = places.sources / "00"
    # A pipeline says in sourceVersion which commit its artifact was made of; it is no version of the S3 object.
    revision = build.get("sourceVersion", "") if inputs["from_pipeline"] else ""
    fetched = sources.fetch(region, build["source"], "" if revision else build.get("sourceVersion", ""), source)
    versions = {
        version["sourceIdentifier"]: version["sourceVersion"] for version in build.get("secondarySourceVersions", ())
    }
    secondary = {}
    for number, other in enumerate(build.get("secondarySources", ()), start=1):
        name = other["sourceIdentifier"]
        secondary[name] = places.sources / f"{number:02}"
        sources.fetch(region, other, versions.get(name, ""), secondary[name])
    return Prepared(places, source, secondary, revision or fetched, _buildspec(region, inputs["buildspec"], source))


def build_variables(region: LocalRegion, record: BuildRecord, prepared: Prepared, host: Host) -> Values:
    """The whole environment of the build's commands.

    Raises:
        VariableError: A parameter or secret does not exist.
        PipelineError: The service role does not exist.
    """
    build = record.snapshot()
    asked, secret = resolve(region, prepared.buildspec.env, build["environment"].get("environmentVariables", ()))
    environment = {
        **from_host(host, prepared.places),
        **region.environment(),
        **credentials.of_role(region, build["serviceRole"], record.uuid),
        **asked,
        **_own(region, build, prepared),
    }
    return Values(environment, frozenset(value for value in secret if value))


def runtimes(asked: Mapping[str, str], python: Path) -> Iterator[str]:
    """A line for each runtime a buildspec asks for: the version it wants, and what the build gets.

    Args:
        asked: Versions by runtime.
        python: The build's Python environment.
    """
    for runtime, version in sorted(asked.items()):
        yield f"Selecting '{runtime}' runtime version '{version}': this host has {_version(runtime, python)}"


def _version(runtime: str, python: Path) -> str:
    if runtime == "python":
        command = [str(python / "bin" / "python"), "--version"]
    elif runtime in _VERSION:
        program = _VERSION[runtime]
        command = [program, "version" if program == "go" else "--version"]
    else:
        return "one that was not looked at"
    try:
        return run(command, timeout=10).strip().partition("\n")[0]
    except PipelineError:
        return "none"


def _own(region: LocalRegion, build: Mapping[str, Any], prepared: Prepared) -> dict[str, str]:
    """CodeBuild's own variables (user guide, "Environment variables in build environments")."""
    source = build["source"]
    version = build.get("sourceVersion", "")
    if source["type"] == "S3" and source.get("location"):
        version = f"arn:aws:s3:::{source['location'].removeprefix('arn:aws:s3:::')}"
    return {
        "AWS_REGION": region.region,
        "AWS_DEFAULT_REGION": region.region,
        "CODEBUILD_BUILD_ARN": build["arn"],
        "CODEBUILD_BUILD_ID": build["id"],
        "CODEBUILD_BUILD_IMAGE": build["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(build["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_CI": "true",
        "CODEBUILD_INITIATOR": build["initiator"],
        "CODEBUILD_KMS_KEY_ID": build["encryptionKey"],
        "CODEBUILD_LOG_PATH": build["id"].rpartition(":")[2],
        "CODEBUILD_PROJECT_ARN": f"arn:aws:codebuild:{region.region}:{region.account}:project/{build['projectName']}",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": prepared.resolved,
        "CODEBUILD_SOURCE_REPO_URL": source.get("location", ""),
        "CODEBUILD_SOURCE_VERSION": version,
        "CODEBUILD_SRC_DIR": str(prepared.source),
        "CODEBUILD_START_TIME": str(int(time() * 1000)),
        **{f"CODEBUILD_SRC_DIR_{name}": str(folder) for name, folder in prepared.secondary.items()},
    }


def _buildspec(region: LocalRegion, buildspec: str, source: Path) -> Buildspec:
    if specs.is_inline(buildspec):
        return specs.parse(buildspec)
    if buildspec.startswith("arn:"):
        return specs.parse(sources.s3_text(region, buildspec), buildspec)
    path = buildspec or sources.DEFAULT_BUILDSPEC
    file = source / path
    if not file.is_file() or not file.resolve().is_relative_to(source.resolve()):
        raise BuildspecError(f"there is no buildspec {path} in the source")
    return specs.parse(file.read_text(encoding="utf-8"), path)
