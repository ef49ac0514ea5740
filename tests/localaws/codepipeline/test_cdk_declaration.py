"""A declaration as CDK Pipelines makes it, executed.

`cdk_declaration.json` is `aws_cdk.pipelines` 2.275's output for a self-mutating V2 pipeline with a wave of two steps, a
stage `dev` of two stacks with a step after it, and a stage `prod` behind an approval with a topic; references are
resolved, and its keys are written as the API writes them.
"""

import json
from pathlib import Path
from typing import Any

from tests.localaws.codepipeline.test_cloudformation_action import template
from tests.localaws.codepipeline.world import PARAMETERS, World

DECLARATION: dict[str, Any] = json.loads((Path(__file__).parent / "cdk_declaration.json").read_text(encoding="utf-8"))


def configured(key: str) -> list[str]:
    """The values of a configuration key in all actions."""
    actions = [action for stage in DECLARATION["stages"] for action in stage["actions"]]
    return [action["configuration"][key] for action in actions if key in action.get("configuration", {})]


def test_cdk_pipelines_declaration_runs_as_it_is(world: World) -> None:
    world.region.client("sns").create_topic(Name="codepipeline-approvals")
    paths = [path.removeprefix("Synth_Output::") for path in configured("TemplatePath")]
    world.builds.files["PBuildSynthCdkBuildProject1A554499"] = {
        path: template().replace('"codepipeline.parameter"', json.dumps(f"{PARAMETERS}{path.replace('/', '.')}"))
        for path in paths
    }
    world.builds.results["PTestImages5F52C263"] = {
        "buildStatus": "SUCCEEDED",
        "exportedEnvironmentVariables": [{"name": "TAG", "value": "0123abc"}],
    }
    execution = world.create(DECLARATION)
    world.answer("prod", "Approved", world.token("prod"))
    world.succeeds(execution)

    started = [(run["stageName"], run["actionName"]) for run in world.actions(execution)]
    declared = [
        (stage["name"], action["name"])
        for stage in DECLARATION["stages"]
        for action in sorted(stage["actions"], key=lambda action: action["runOrder"])
    ]
    assert started == declared
    stacks = world.region.client("cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackName"] for stack in stacks} == set(configured("StackName"))

    commit = world.executions()[0]["sourceRevisions"][0]["revisionId"]
    images = world.builds.request_of("PTestImages5F52C263")
    assert {"name": "COMMIT", "type": "PLAINTEXT", "value": commit} in images["environmentVariablesOverride"]
    assert [one["sourceIdentifier"] for one in images["secondarySourcesOverride"]] == [
        "c8998f63630c70fca3c11c6f0b7fc8b60b0b65113e_Source"
    ]
    sync = world.builds.request_of("PdevSyncAECDFBA5")
    assert {"name": "TAG", "type": "PLAINTEXT", "value": "0123abc"} in sync["environmentVariablesOverride"]
