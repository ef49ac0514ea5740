"""Pipeline declarations for tests, in the API's own words."""

from typing import Any

ROLE = "arn:aws:iam::123456789012:role/pipeline"
BUCKET = "codepipeline-artifacts"

Json = dict[str, Any]


def action(
    name: str,
    kind: str,
    *,
    order: int = 1,
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    namespace: str = "",
    **configuration: str,
) -> Json:
    """An action; `kind` is `Category/Provider`."""
    category, provider = kind.split("/")
    document: Json = {
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "runOrder": order,
        "configuration": configuration,
        "inputArtifacts": [{"name": artifact} for artifact in inputs],
        "outputArtifacts": [{"name": artifact} for artifact in outputs],
    }
    return {**document, "namespace": namespace} if namespace else document


def source(name: str = "etl", **more: Any) -> Json:
    configuration = {"RepositoryName": "etl", "BranchName": "main", "PollForSourceChanges": "false", **more}
    return action(name, "Source/CodeCommit", outputs=("Code",), namespace="Source", **configuration)


def build(name: str, *, order: int = 1, inputs: tuple[str, ...] = ("Code",), **more: Any) -> Json:
    return action(name, "Build/CodeBuild", order=order, inputs=inputs, **{"ProjectName": name, **more})


def approval(name: str = "Approve", *, order: int = 1, **more: Any) -> Json:
    return action(name, "Approval/Manual", order=order, **more)


def deploy(name: str, mode: str, *, order: int = 1, inputs: tuple[str, ...] = (), **more: Any) -> Json:
    return action(name, "Deploy/CloudFormation", order=order, inputs=inputs, ActionMode=mode, StackName="stack", **more)


def stage(name: str, *actions: Json, **more: Any) -> Json:
    return {"name": name, "actions": list(actions), **more}


def declaration(*stages: Json, name: str = "etl", **more: Any) -> Json:
    """A pipeline whose first stage is a CodeCommit source unless the stages begin with one of their own."""
    own = bool(stages) and stages[0]["actions"][0]["actionTypeId"]["category"] == "Source"
    return {
        "name": name,
        "roleArn": ROLE,
        "artifactStore": {"type": "S3", "location": BUCKET},
        "pipelineType": "V2",
        "stages": [*([] if own else [stage("Source", source())]), *stages],
        **more,
    }
