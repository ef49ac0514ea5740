"""What matters in the synthesized templates: the order of the pipeline, what is kept, who may do what."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EXIT_USAGE
from pipeline.process import CommandError, run

ACCOUNT = "123456789012"
PROJECT = Path(__file__).parents[2]
QUIET = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20", "CDK_DEFAULT_ACCOUNT": ACCOUNT}
Template = dict[str, Any]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """Every template of this project, by stack name, as `app.py` writes them."""
    folder = tmp_path_factory.mktemp("cdk") / "out"
    context = json.dumps(json.loads((PROJECT / "cdk.json").read_text())["context"])  # as the CDK CLI hands it on
    run(["python3", "app.py"], cwd=PROJECT, env={**QUIET, "CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": context})
    found: dict[str, Template] = {}
    for manifest in folder.rglob("manifest.json"):
        for name, artifact in json.loads(manifest.read_text()).get("artifacts", {}).items():
            if artifact["type"] == "aws:cloudformation:stack":
                path = manifest.parent / artifact["properties"]["templateFile"]
                found[artifact["properties"].get("stackName", name)] = json.loads(path.read_text())
    return found


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource for resource in template["Resources"].values() if resource["Type"] == kind]


def stages(templates: dict[str, Template]) -> list[dict[str, Any]]:
    (found,) = resources(templates["etl-pipeline"], "AWS::CodePipeline::Pipeline")
    return list(found["Properties"]["Stages"])


def test_a_commit_is_synthesized_updates_the_pipeline_is_tested_and_then_deployed(
    templates: dict[str, Template],
) -> None:
    names = [stage["Name"] for stage in stages(templates)]
    assert names == ["Source", "Build", "UpdatePipeline", "TestAndBuild", "dev", "prod"]


def test_tests_and_image_builds_run_side_by_side(templates: dict[str, Template]) -> None:
    wave = stages(templates)[3]
    assert {action["Name"] for action in wave["Actions"]} >= {"test-dags", "test-containers", "test-stacks"}
    assert len({action["RunOrder"] for action in wave["Actions"]}) == 1


def test_production_waits_for_a_release_manager_before_anything_changes(templates: dict[str, Template]) -> None:
    order = {
        action["ActionTypeId"]["Category"]: action["RunOrder"] for action in reversed(stages(templates)[5]["Actions"])
    }
    assert order["Approval"] == min(order.values())
    assert order["Approval"] < order["Deploy"]
    assert all(action["ActionTypeId"]["Category"] != "Approval" for action in stages(templates)[4]["Actions"])


def test_task_definitions_outlive_their_replacement(templates: dict[str, Template]) -> None:
    definitions = resources(templates["etl-dev-tasks"], "AWS::ECS::TaskDefinition")
    assert definitions
    assert {definition["UpdateReplacePolicy"] for definition in definitions} == {"Retain"}


def test_image_tags_cannot_be_moved(templates: dict[str, Template]) -> None:
    repositories = resources(templates["etl-pipeline"], "AWS::ECR::Repository")
    assert {repository["Properties"]["ImageTagMutability"] for repository in repositories} == {"IMMUTABLE"}


def test_no_policy_allows_every_action_of_a_service(templates: dict[str, Template]) -> None:
    allowed = [
        (name, action)
        for name, template in templates.items()
        for kind in ("AWS::IAM::Policy", "AWS::IAM::Role")
        for resource in resources(template, kind)
        for statement in _statements(resource["Properties"])
        for action in _list(statement["Action"])
        if statement["Effect"] == "Allow" and (action == "*" or action.endswith(":*"))
    ]
    assert allowed == []


def test_the_templates_need_no_lambda(templates: dict[str, Template]) -> None:
    kinds = {resource["Type"] for template in templates.values() for resource in template["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::Lambda::", "Custom::", "AWS::CloudFormation::Custom"))}


def test_a_wrong_setting_is_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text(json.dumps({"context": {"pipeline": {"name": "Not A Name"}}}))
    with pytest.raises(CommandError) as failure:
        run(["python3", str(PROJECT / "app.py")], cwd=tmp_path, env={**QUIET, "PYTHONPATH": str(PROJECT)})
    assert failure.value.code == EXIT_USAGE
    assert "context.pipeline.name" in failure.value.output
    assert "Traceback" not in failure.value.output


def _statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    documents = [
        properties.get("PolicyDocument"),
        *(policy["PolicyDocument"] for policy in properties.get("Policies", [])),
    ]
    return [statement for document in documents if document for statement in document["Statement"]]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
