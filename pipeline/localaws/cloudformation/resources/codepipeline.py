"""AWS::CodePipeline::Pipeline."""

from typing import Any

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document

# Properties that are no part of the pipeline's declaration.
_BESIDE = {"DisableInboundStageTransitions", "RestartExecutionOnUpdate", "Tags"}


class Pipeline(Provider):
    """A pipeline."""

    type = "AWS::CodePipeline::Pipeline"
    implemented = frozenset(
        {
            "ArtifactStore",
            "ArtifactStores",
            "DisableInboundStageTransitions",
            "ExecutionMode",
            "Name",
            "PipelineType",
            "RestartExecutionOnUpdate",
            "RoleArn",
            "Stages",
            "Tags",
            "Triggers",
            "Variables",
        }
    )

    def create(self, request: Request) -> str:
        """Make it; CodePipeline itself then starts its first execution. `Ref` is its name."""
        wanted = request.properties
        codepipeline = request.client("codepipeline")
        name = str(wanted.get("Name") or request.name(longest=100))
        given = {"Pipeline": declaration(name, wanted), "Tags": wanted.get("Tags", [])}
        codepipeline.create_pipeline(**arguments(codepipeline, "CreatePipeline", given))
        request.note(name)
        self._transitions(codepipeline, name, wanted, {})
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Its declaration; then, if the template says so, the latest commit travels through the new structure."""
        wanted = request.properties
        codepipeline = request.client("codepipeline")
        old, new = declaration(physical_id, before), declaration(physical_id, wanted)
        if new != old:
            codepipeline.update_pipeline(**arguments(codepipeline, "UpdatePipeline", {"Pipeline": new}))
        self._transitions(codepipeline, physical_id, wanted, before)
        change = TagChange.between(before, wanted)
        arn = request.place.arn("codepipeline", physical_id)
        if change.remove:
            codepipeline.untag_resource(resourceArn=arn, tagKeys=list(change.remove))
        if change.put:
            codepipeline.tag_resource(resourceArn=arn, tags=change.as_list("key", "value"))
        if new != old and wanted.get("RestartExecutionOnUpdate", False):
            codepipeline.start_pipeline_execution(name=physical_id)

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it with its history."""
        with unless_gone("PipelineNotFoundException"):
            request.client("codepipeline").delete_pipeline(name=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its version, which every update raises."""
        version = request.client("codepipeline").get_pipeline(name=physical_id)["pipeline"]["version"]
        return {"Version": str(version), "Arn": request.place.arn("codepipeline", physical_id)}

    def _transitions(self, codepipeline: Any, name: str, wanted: Document, before: Document) -> None:
        old = {item["StageName"]: item for item in before.get("DisableInboundStageTransitions", [])}
        new = {item["StageName"]: item for item in wanted.get("DisableInboundStageTransitions", [])}
        for stage in old.keys() - new.keys():
            codepipeline.enable_stage_transition(pipelineName=name, stageName=stage, transitionType="Inbound")
        for stage, item in new.items():
            if item != old.get(stage):
                codepipeline.disable_stage_transition(
                    pipelineName=name, stageName=stage, transitionType="Inbound", reason=item["Reason"]
                )


def declaration(name: str, properties: Document) -> dict[str, Any]:
    """The pipeline's declaration, still under CloudFormation's names.

    The API keeps stores in a map by region where the template has a list.
    """
    found = {key: value for key, value in properties.items() if key not in _BESIDE}
    found["Name"] = name
    if "ArtifactStores" in found:
        found["ArtifactStores"] = {item["Region"]: item["ArtifactStore"] for item in found["ArtifactStores"]}
    return found
