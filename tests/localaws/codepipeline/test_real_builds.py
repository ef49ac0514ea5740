"""The whole line with the real CodeBuild: a push's files are built, the build's template is deployed."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.cloudformation.service import CloudFormation
from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.service import CodeBuild
from pipeline.localaws.codecommit.http import PREFIX, GitHttp
from pipeline.localaws.codecommit.repositories import Repositories
from pipeline.localaws.codecommit.service import CodeCommit
from pipeline.localaws.codepipeline.service import CodePipeline
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Service
from tests.localaws.codepipeline.declarations import ROLE, build, declaration, stage
from tests.localaws.codepipeline.test_cloudformation_action import EXECUTE, parameter, prepare, template
from tests.localaws.codepipeline.world import Events, ScriptedCodeBuild, World, furnish
from tests.localaws.conftest import Serve

SYNTH = """
version: 0.2
env: {shell: bash, exported-variables: [WHAT]}
phases:
  build:
    commands:
      - mkdir out && cp stack.json out/
      - export WHAT="$CODEBUILD_INITIATOR at $CODEBUILD_RESOLVED_SOURCE_VERSION"
artifacts: {base-directory: out, files: '**/*'}
"""
CHECK = """
version: 0.2
phases: {build: {commands: ['test "$WHAT" = right']}}
"""


@pytest.fixture
def world(serve: Serve, tmp_path: Path) -> World:
    events = Events()
    host = Host(environment=dict(os.environ), python=Path(sys.executable))

    def repositories(region: LocalRegion) -> Repositories:
        return Repositories(region.folder / "codecommit")

    def services(region: LocalRegion) -> list[Service]:
        return [
            CloudFormation(region),
            CodeBuild(region, host),
            CodeCommit(region, repositories(region)),
            CodePipeline(region, repositories(region).archive, events),
        ]

    region = serve(services, lambda region: {PREFIX: GitHttp(region, repositories(region))})
    work = furnish(region, tmp_path / "work")
    # Nobody asks the scripted CodeBuild or stops this CodePipeline: the served ones are the real ones.
    return World(region, ScriptedCodeBuild(region), events, CodePipeline(region, repositories(region).archive), work)


def project(world: World, name: str, buildspec: str) -> None:
    world.region.client("codebuild").create_project(
        name=name,
        source={"type": "CODEPIPELINE", "buildspec": buildspec},
        artifacts={"type": "CODEPIPELINE"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=ROLE,
    )


def test_a_push_is_built_and_what_was_built_is_deployed(world: World) -> None:
    project(world, "synth", SYNTH)
    project(world, "check", CHECK)
    commit = world.commit("a stack", stack_json=template())
    variables: Any = [{"name": "WHAT", "value": "#{Synth.WHAT}"}]
    execution = world.create(
        declaration(
            stage("Build", build("synth", outputs=("Cloud",), namespace="Synth")),
            stage("Deploy", prepare(), EXECUTE),
            stage("Check", build("check", EnvironmentVariables=json.dumps(variables))),
        )
    )
    assert world.ends(execution) == "Failed"
    assert world.action(execution, "synth")["output"]["outputVariables"] == {
        "WHAT": f"codepipeline/etl at {commit}",
    }
    assert parameter(world) == "one"
    failed = world.action(execution, "check")["output"]["executionResult"]
    assert failed["errorDetails"]["message"] == (
        "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, Message: Error while"
        ' executing command: test "$WHAT" = right. Reason: exit status 1'
    )
    group, stream = failed["logStreamARN"].split(":log-group:")[1].split(":log-stream:")
    lines = world.region.client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
    assert any("exit status 1" in line["message"] for line in lines)
