"""Build/CodeBuild and Test/CodeBuild: run a build with the input artifacts as its sources."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pipeline.localaws.codepipeline.actions.work import (
    CONFIGURATION_ERROR,
    JOB_FAILED,
    ActionFailedError,
    Outcome,
    Work,
)
from pipeline.localaws.codepipeline.records import External, Location

POLL_SECONDS: Final = 0.3  # CodeBuild has no way to wait for a build; locally a look costs a millisecond


def perform(work: Work) -> Outcome:
    """Start the build and wait for it; its exported variables become the action's."""
    codebuild = work.client("codebuild")
    build = codebuild.start_build(**request(work))["build"]
    external = _external(build, work.region)
    work.report(external)
    while build.get("buildStatus", "IN_PROGRESS") == "IN_PROGRESS":
        work.pause(POLL_SECONDS)
        build = codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        if _external(build, work.region) != external:
            external = _external(build, work.region)
            work.report(external)
    if build["buildStatus"] != "SUCCEEDED":
        raise ActionFailedError(JOB_FAILED, why(build))
    exported = build.get("exportedEnvironmentVariables", ())
    return Outcome(
        variables={variable["name"]: variable.get("value", "") for variable in exported},
        external=external,
    )


def request(work: Work) -> dict[str, Any]:
    """The arguments of StartBuild.

    The first input is the source unless PrimarySource names another; the rest are secondary sources whose identifiers
    are the artifacts' names. One output is the build's own artifact; of several, each is a secondary artifact (user
    guide, "CodeBuild action reference").
    """
    primary = work.configuration.get("PrimarySource") or next(iter(work.inputs))
    if primary not in work.inputs:
        raise ActionFailedError(
            CONFIGURATION_ERROR, f"PrimarySource {primary} is not one of the input artifacts {', '.join(work.inputs)}"
        )
    arguments: dict[str, Any] = {
        "projectName": work.configuration["ProjectName"],
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": _place(work.inputs[primary]),
        "secondarySourcesOverride": [
            {"type": "S3", "location": _place(location), "sourceIdentifier": name}
            for name, location in work.inputs.items()
            if name != primary
        ],
        "environmentVariablesOverride": [
            *_variables(work.configuration.get("EnvironmentVariables", "[]")),
            # StartBuild has no way to say it; CodeBuild tells it to the build's commands as AWS does.
            {"name": "CODEBUILD_INITIATOR", "type": "PLAINTEXT", "value": f"codepipeline/{work.pipeline}"},
        ],
    }
    if version := work.revisions.get(primary):
        arguments["sourceVersion"] = version
    outputs = [_artifact(location) for location in work.outputs.values()]
    if len(outputs) == 1:
        arguments["artifactsOverride"] = outputs[0]
    else:
        arguments["artifactsOverride"] = {"type": "NO_ARTIFACTS"}
        arguments["secondaryArtifactsOverride"] = [
            {**artifact, "artifactIdentifier": name} for name, artifact in zip(work.outputs, outputs, strict=True)
        ]
    return arguments


def why(build: Mapping[str, Any]) -> str:
    """The words CodePipeline has for a build that did not succeed: the phase that failed and what it said."""
    message = f"Build terminated with state: {build['buildStatus']}"
    for phase in build.get("phases", ()):
        if phase.get("phaseStatus", "SUCCEEDED") not in {"SUCCEEDED", "QUEUED"}:
            context = (phase.get("contexts") or [{}])[0]
            code, said = context.get("statusCode", ""), context.get("message", "")
            return f"{message}. Phase: {phase['phaseType']}, Code: {code}, Message: {said}"
    return message


def _variables(text: str) -> list[dict[str, str]]:
    try:
        return [{"type": "PLAINTEXT", **variable} for variable in json.loads(text)]
    except (json.JSONDecodeError, TypeError):
        raise ActionFailedError(
            CONFIGURATION_ERROR, f"EnvironmentVariables is not a JSON list of objects with name and value: {text}"
        ) from None


def _place(location: Location) -> str:
    return f"{location.bucket}/{location.key}"


def _artifact(location: Location) -> dict[str, Any]:
    folder, _, name = location.key.rpartition("/")
    return {
        "type": "S3",
        "location": location.bucket,
        "path": folder,
        "namespaceType": "NONE",
        "name": name,
        "packaging": "ZIP",
        "overrideArtifactName": False,  # a buildspec's artifact name must not move the object
    }


def _external(build: Mapping[str, Any], region: str) -> External:
    logs = build.get("logs", {})
    page = f"https://console.aws.amazon.com/codebuild/home?region={region}#/builds/{build['id']}/view/new"
    return External(build["id"], logs.get("deepLink") or page, log_stream=logs.get("cloudWatchLogsArn", ""))
