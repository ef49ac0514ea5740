"""What a build hands over: the primary artifact and the secondary ones, each where the project or StartBuild says."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.localaws.codebuild.artifacts import NoMatchError, upload
from pipeline.localaws.codebuild.buildspec import Artifact
from pipeline.localaws.codebuild.inputs import Prepared
from pipeline.localaws.codebuild.records import BuildRecord
from pipeline.localaws.codebuild.shell import Shell
from pipeline.localaws.region import LocalRegion


def hand_over(
    region: LocalRegion,
    record: BuildRecord,
    prepared: Prepared,
    *,
    shell: Shell,
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Upload all artifacts.

    Returns:
        The members `artifacts` and `secondaryArtifacts` of the build.

    Raises:
        NoMatchError: An artifact is wanted and the buildspec does not define it, or its files do not exist.
    """
    wanted: list[Mapping[str, Any]] = [record.inputs["artifacts"], *record.inputs["secondaryArtifacts"]]
    done: list[dict[str, Any]] = []
    for to in wanted:
        identifier = to.get("artifactIdentifier", "")
        if to["type"] != "S3":
            done.append({})
            continue
        artifact = _defined(prepared, identifier)
        place, name = to, record.id.partition(":")[0]
        if to.get("overrideArtifactName") and artifact.name:
            place = {**to, "name": _evaluated(shell, artifact.name)}
        elif identifier:
            name = identifier
        files = f"{', '.join(artifact.files)} of {artifact.base_directory}"
        say(f"Uploading artifact {identifier}: {files}" if identifier else f"Uploading artifact: {files}")
        uploaded = upload(region, artifact, place, source=prepared.source, variables=variables, name=name)
        say(f"Uploaded {uploaded.location}")
        done.append(
            {"location": uploaded.location}
            | ({"sha256sum": uploaded.sha256sum} if uploaded.sha256sum else {})
            | ({"artifactIdentifier": identifier} if identifier else {})
        )
    return {"artifacts": done[0] or {"location": ""}, "secondaryArtifacts": [one for one in done[1:] if one]}


def _defined(prepared: Prepared, identifier: str) -> Artifact:
    spec = prepared.buildspec
    found = spec.secondary_artifacts.get(identifier) if identifier else spec.artifacts
    if found is None:
        place = f"artifacts.secondary-artifacts.{identifier}" if identifier else "artifacts"
        raise NoMatchError(f"the project wants an artifact that the buildspec does not define: {place}")
    return found


def _evaluated(shell: Shell, name: str) -> str:
    """An artifact's name may hold shell: `build-$(date +%F)`."""
    shell.run(f'codebuild_artifact_name="{name}"', succeeding=True)
    return shell.values(("codebuild_artifact_name",)).get("codebuild_artifact_name", name)
