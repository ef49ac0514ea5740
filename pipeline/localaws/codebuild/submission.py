"""From StartBuild to a build: the project's definition with the overrides of the request."""

import copy
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.localaws.codebuild.projects import check
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import ServiceError

INITIATOR: Final = "CODEBUILD_INITIATOR"  # StartBuild cannot say who starts it; the local CodePipeline does with this

_NOT_DONE: Final = (
    "debugSessionEnabled",
    "fleetOverride",
    "autoRetryLimitOverride",
    "certificateOverride",
    "registryCredentialOverride",
)
# request member → place in the project
_OVERRIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "sourceTypeOverride": ("source", "type"),
    "sourceLocationOverride": ("source", "location"),
    "sourceAuthOverride": ("source", "auth"),
    "gitCloneDepthOverride": ("source", "gitCloneDepth"),
    "gitSubmodulesConfigOverride": ("source", "gitSubmodulesConfig"),
    "buildspecOverride": ("source", "buildspec"),
    "insecureSslOverride": ("source", "insecureSsl"),
    "reportBuildStatusOverride": ("source", "reportBuildStatus"),
    "environmentTypeOverride": ("environment", "type"),
    "imageOverride": ("environment", "image"),
    "computeTypeOverride": ("environment", "computeType"),
    "privilegedModeOverride": ("environment", "privilegedMode"),
    "imagePullCredentialsTypeOverride": ("environment", "imagePullCredentialsType"),
    "hostKernelOverride": ("environment", "hostKernel"),
    "secondarySourcesOverride": ("secondarySources",),
    "secondarySourcesVersionOverride": ("secondarySourceVersions",),
    "sourceVersion": ("sourceVersion",),
    "artifactsOverride": ("artifacts",),
    "secondaryArtifactsOverride": ("secondaryArtifacts",),
    "cacheOverride": ("cache",),
    "serviceRoleOverride": ("serviceRole",),
    "timeoutInMinutesOverride": ("timeoutInMinutes",),
    "queuedTimeoutInMinutesOverride": ("queuedTimeoutInMinutes",),
    "encryptionKeyOverride": ("encryptionKey",),
    "logsConfigOverride": ("logsConfig",),
}


def submit(
    region: LocalRegion, project: Mapping[str, Any], request: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `Build` that StartBuild answers with, and the inputs that `BuildRecord` keeps beside it.

    Args:
        region: Where it runs.
        project: The project as it is now.
        request: The arguments of StartBuild.
        number: The build's number in its project.

    Raises:
        ServiceError: An override does not fit, or is one the local AWS does not do.
    """
    for member in _NOT_DONE:
        if request.get(member):
            raise ServiceError("InvalidInputException", f"the local AWS does not implement {member} of StartBuild")
    wanted = _overridden(project, request)
    if wanted["source"]["type"] == "CODEPIPELINE":
        raise ServiceError(
            "InvalidInputException",
            f"Cannot start build: project {project['name']} takes its source from a pipeline; start the pipeline",
        )
    from_pipeline = project["source"]["type"] == "CODEPIPELINE"
    if not from_pipeline:
        check(wanted)
    variables, initiator = _variables(wanted["environment"].get("environmentVariables", ()), request)
    wanted["environment"]["environmentVariables"] = variables
    own = f"{project['name']}:{uuid.uuid4()}"
    build = {
        "id": own,
        "arn": f"arn:aws:codebuild:{region.region}:{region.account}:build/{own}",
        "buildNumber": number,
        "startTime": datetime.now(UTC),
        "currentPhase": "SUBMITTED",
        "buildStatus": "IN_PROGRESS",
        "projectName": project["name"],
        "phases": [],
        "source": wanted["source"],
        "secondarySources": wanted.get("secondarySources", []),
        "secondarySourceVersions": wanted.get("secondarySourceVersions", []),
        "artifacts": {"location": _artifact_location(wanted["artifacts"])},
        "secondaryArtifacts": [],
        "cache": wanted.get("cache") or {"type": "NO_CACHE"},
        "environment": wanted["environment"],
        "serviceRole": wanted["serviceRole"],
        "logs": {
            key: value for key, value in (wanted.get("logsConfig") or {}).items() if key in ("cloudWatchLogs", "s3Logs")
        },
        "timeoutInMinutes": wanted["timeoutInMinutes"],
        "queuedTimeoutInMinutes": wanted["queuedTimeoutInMinutes"],
        "buildComplete": False,
        "initiator": initiator or (f"codepipeline/{project['name']}" if from_pipeline else "root"),
        "encryptionKey": wanted["encryptionKey"],
        "exportedEnvironmentVariables": [],
        "reportArns": [],
    }
    if wanted.get("sourceVersion"):
        build["sourceVersion"] = wanted["sourceVersion"]
    inputs = {
        "request": dict(request),
        "from_pipeline": from_pipeline,
        "buildspec": wanted["source"].get("buildspec", ""),
        "artifacts": wanted["artifacts"],
        "secondaryArtifacts": wanted.get("secondaryArtifacts", []),
    }
    return build, inputs


def _overridden(project: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = copy.deepcopy(dict(project))
    for member, (first, *rest) in _OVERRIDES.items():
        if member in request:
            value = copy.deepcopy(request[member])
            if rest:
                wanted[first][rest[0]] = value
            else:
                wanted[first] = value
    return wanted


def _variables(project: Sequence[Mapping[str, Any]], request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The project's variables with those of the request over them, and who the request says starts the build."""
    merged = {variable["name"]: dict(variable) for variable in project}
    merged |= {variable["name"]: dict(variable) for variable in request.get("environmentVariablesOverride", ())}
    initiator = merged.pop(INITIATOR, {}).get("value", "")
    return [{"type": "PLAINTEXT", **variable} for variable in merged.values()], initiator


def _artifact_location(artifacts: Mapping[str, Any]) -> str:
    if artifacts["type"] != "S3":
        return ""
    parts = (artifacts["location"], artifacts.get("path", "").strip("/"), artifacts.get("name", ""))
    return "arn:aws:s3:::" + "/".join(part for part in parts if part)
