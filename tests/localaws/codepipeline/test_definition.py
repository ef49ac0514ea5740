"""What CreatePipeline accepts and refuses."""

from typing import Any

import pytest

from pipeline.localaws.codepipeline.definition import DefinitionError, Mode, Pipeline, parse
from pipeline.localaws.codepipeline.structure import check
from tests.localaws.codepipeline.declarations import (
    action,
    approval,
    build,
    declaration,
    deploy,
    source,
    stage,
)

ORDER = "InvalidActionDeclarationException"
STRUCTURE = "InvalidStructureException"
STAGE = "InvalidStageDeclarationException"


def parsed(document: dict[str, Any]) -> Pipeline:
    return check(parse(document, version=1, region="eu-west-1"))


def test_a_declaration_becomes_typed_values() -> None:
    pipeline = parsed(
        declaration(
            stage("Build", build("late", order=2), build("a"), build("b")),
            executionMode="QUEUED",
            variables=[{"name": "LEVEL", "defaultValue": "info"}, {"name": "WHO"}],
        )
    )
    assert pipeline.mode is Mode.QUEUED
    assert pipeline.bucket == "codepipeline-artifacts"
    assert [[one.name for one in group] for group in pipeline.stages[1].orders()] == [["a", "b"], ["late"]]
    assert [(variable.name, variable.default) for variable in pipeline.variables] == [("LEVEL", "info"), ("WHO", None)]


def test_defaults_are_filled_in_as_get_pipeline_shows_them() -> None:
    bare = source()
    del bare["runOrder"]
    document = parsed(declaration(stage("Source", bare), stage("Build", build("a")), pipelineType="V2")).document
    assert document["executionMode"] == "SUPERSEDED"
    assert document["version"] == 1
    assert document["stages"][0]["actions"][0]["runOrder"] == 1


def test_the_artifact_store_of_the_own_region_is_taken() -> None:
    document = declaration(stage("Build", build("a")))
    del document["artifactStore"]
    document["artifactStores"] = {"eu-west-1": {"type": "S3", "location": "here"}}
    assert parsed(document).bucket == "here"


def test_references_to_earlier_namespaces_and_built_in_ones_are_fine() -> None:
    parsed(
        declaration(
            stage(
                "Build", build("a", namespace="A", EnvironmentVariables='[{"name":"C","value":"#{Source.CommitId}"}]')
            ),
            stage("Ask", approval(CustomData="#{A.TAG} #{codepipeline.PipelineExecutionId} #{variables.X}")),
        )
    )


SECOND = stage("Build", build("a"))

REFUSED = [
    ("one stage", declaration(), STRUCTURE, "only 1 stage"),
    ("a name with a blank", declaration(SECOND, name="a b"), "ValidationException", "a b"),
    ("a stage twice", declaration(SECOND, SECOND), STAGE, "'Build'"),
    ("an action twice", declaration(stage("B", build("a"), build("a"))), ORDER, "'a'"),
    ("an empty stage", {**declaration(SECOND), "stages": [stage("Source", source()), stage("B")]}, STAGE, "no action"),
    (
        "a first stage without a source",
        {**declaration(SECOND), "stages": [stage("A", approval()), SECOND]},
        STRUCTURE,
        "Approve",
    ),
    ("a source later", declaration(SECOND, stage("B", source("again"))), STRUCTURE, "again"),
    ("an unknown provider", declaration(stage("B", action("x", "Build/Jenkins"))), ORDER, "provider Jenkins"),
    ("a provider of another category", declaration(stage("B", action("x", "Deploy/CodeBuild"))), ORDER, "Deploy"),
    ("an input nobody makes", declaration(stage("B", build("a", inputs=("Nothing",)))), ORDER, "Nothing"),
    (
        "an input made at the same time",
        declaration(stage("B", build("a", outputs=("Out",)), build("b", inputs=("Out",)))),
        ORDER,
        "Out",
    ),
    (
        "an output made twice",
        declaration(stage("B", build("a", outputs=("Out",)), build("b", outputs=("Out",)))),
        STRUCTURE,
        "Out",
    ),
    ("a build without input", declaration(stage("B", build("a", inputs=()))), ORDER, "1 to 5 input artifacts, not 0"),
    ("an approval with input", declaration(stage("B", approval(inputs=("Code",)))), ORDER, "not 1"),
    (
        "a missing configuration",
        declaration(stage("B", action("x", "Deploy/CloudFormation", ActionMode="DELETE_ONLY"))),
        ORDER,
        "StackName",
    ),
    ("an unknown configuration", declaration(stage("B", build("a", Projekt="x"))), ORDER, "Projekt"),
    ("batch builds", declaration(stage("B", build("a", BatchEnabled="true"))), ORDER, "BatchEnabled true"),
    (
        "a full clone",
        declaration(stage("Source", source(OutputArtifactFormat="CODEBUILD_CLONE_REF")), SECOND),
        ORDER,
        "CLONE",
    ),
    ("an action mode we do not do", declaration(stage("B", deploy("x", "REPLACE_ON_FAILURE"))), ORDER, "REPLACE_ON"),
    ("a run order of 0", declaration(stage("B", build("a", order=0))), ORDER, "run order 0"),
    ("another region", declaration(stage("B", {**build("a"), "region": "us-east-1"})), ORDER, "us-east-1"),
    ("a compute action's commands", declaration(stage("B", {**build("a"), "commands": ["ls"]})), ORDER, "commands"),
    ("entry conditions", declaration(stage("B", build("a"), beforeEntry={"conditions": [{}]})), STAGE, "beforeEntry"),
    ("failure conditions", declaration(stage("B", build("a"), onFailure={"conditions": [{}]})), STAGE, "conditions"),
    ("automatic rollback", declaration(stage("B", build("a"), onFailure={"result": "ROLLBACK"})), STAGE, "ROLLBACK"),
    ("triggers", declaration(SECOND, triggers=[{"providerType": "CodeStarSourceConnection"}]), STRUCTURE, "triggers"),
    ("no artifact store", {**declaration(SECOND), "artifactStore": None}, STRUCTURE, "artifactStore"),
    (
        "no artifact store here",
        {**declaration(SECOND), "artifactStore": None, "artifactStores": {"us-east-1": {"location": "x"}}},
        STRUCTURE,
        "eu-west-1",
    ),
    (
        "a namespace nobody fills",
        declaration(stage("B", approval(CustomData="#{Later.TAG}"))),
        ORDER,
        "StageName=[B], ActionName=[Approve], ActionConfigurationKey=[CustomData], VariableReferenceText=[Later.TAG]",
    ),
    (
        "a namespace filled at the same time",
        declaration(stage("B", build("a", namespace="A"), approval(CustomData="#{A.TAG}"))),
        ORDER,
        "A.TAG",
    ),
    ("a namespace twice", declaration(stage("B", build("a", namespace="Source"))), ORDER, "Source is used already"),
]


@pytest.mark.parametrize(
    ("document", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0].replace(" ", "-") for row in REFUSED]
)
def test_what_cannot_run_is_refused_by_name(document: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parsed(document)
    assert refused.value.code == code
    assert words in refused.value.message
