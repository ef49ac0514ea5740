"""The AWS CLI, unmodified, as the judge."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.process import CommandError, run
from tests.localaws.codepipeline.declarations import approval, build, declaration, stage
from tests.localaws.codepipeline.world import FAILED_BUILD, World

AWS = str(Path(sys.executable).parent / "aws")


def aws(world: World, *arguments: str) -> Any:
    """`aws codepipeline …`; its answer."""
    said = run([AWS, "codepipeline", *arguments, "--output", "json"], env=world.region.environment())
    return json.loads(said) if said.strip() else {}


def test_an_operators_day_with_the_aws_cli(world: World, tmp_path: Path) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    file = tmp_path / "pipeline.json"
    stages = (stage("Test", build("unit")), stage("Prod", approval(), build("ship", order=2)))
    file.write_text(json.dumps({"pipeline": declaration(*stages)}))
    aws(world, "create-pipeline", "--cli-input-json", f"file://{file}")

    rows = aws(world, "list-pipeline-executions", "--pipeline-name", "etl")["pipelineExecutionSummaries"]
    execution = rows[0]["pipelineExecutionId"]
    world.ends(execution)
    state = aws(world, "get-pipeline-state", "--name", "etl")
    failed = next(one for one in state["stageStates"] if one["stageName"] == "Test")
    assert failed["latestExecution"]["status"] == "Failed"
    assert "exit status 2" in failed["actionStates"][0]["latestExecution"]["errorDetails"]["message"]

    world.builds.results.clear()
    which = ("--pipeline-name", "etl", "--pipeline-execution-id", execution)
    aws(world, "retry-stage-execution", *which, "--stage-name", "Test", "--retry-mode", "FAILED_ACTIONS")
    world.token("Prod")
    state = aws(world, "get-pipeline-state", "--name", "etl")
    asked = state["stageStates"][2]["actionStates"][0]["latestExecution"]
    approved = aws(
        world, "put-approval-result", "--pipeline-name", "etl", "--stage-name", "Prod", "--action-name", "Approve",
        "--token", asked["token"], "--result", "summary=fine,status=Approved",
    )  # fmt: skip
    assert approved["approvedAt"]
    world.succeeds(execution)

    actions = aws(
        world, "list-action-executions", "--pipeline-name", "etl", "--filter", f"pipelineExecutionId={execution}"
    )["actionExecutionDetails"]
    assert [(one["actionName"], one["status"]) for one in reversed(actions)] == [
        ("etl", "Succeeded"),
        ("unit", "Failed"),
        ("unit", "Succeeded"),
        ("Approve", "Succeeded"),
        ("ship", "Succeeded"),
    ]
    rows = aws(world, "list-pipeline-executions", "--pipeline-name", "etl")["pipelineExecutionSummaries"]
    assert [(row["pipelineExecutionId"], row["status"]) for row in rows] == [(execution, "Succeeded")]


def test_a_stop_and_its_refusal_with_the_aws_cli(world: World) -> None:
    world.builds.held.add("unit")
    execution = world.create(declaration(stage("Test", build("unit"))))
    world.runs("Test", "unit")
    which = ("--pipeline-name", "etl", "--pipeline-execution-id", execution)
    assert aws(world, "stop-pipeline-execution", *which, "--abandon")["pipelineExecutionId"] == execution
    with pytest.raises(CommandError, match="PipelineExecutionNotStoppableException"):
        aws(world, "stop-pipeline-execution", *which)
