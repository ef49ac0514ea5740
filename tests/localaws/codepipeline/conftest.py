"""A local AWS for CodePipeline's tests."""

from pathlib import Path

import pytest

from pipeline.localaws.cloudformation.service import CloudFormation
from pipeline.localaws.codecommit.http import PREFIX, GitHttp
from pipeline.localaws.codecommit.repositories import Repositories
from pipeline.localaws.codecommit.service import CodeCommit
from pipeline.localaws.codepipeline.service import CodePipeline
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Service
from tests.localaws.codepipeline.world import Events, ScriptedCodeBuild, World, furnish
from tests.localaws.conftest import Serve


@pytest.fixture
def world(serve: Serve, tmp_path: Path) -> World:
    """A local AWS with one commit in the repository `etl`."""
    events = Events()
    builds: list[ScriptedCodeBuild] = []
    pipelines: list[CodePipeline] = []

    def repositories(region: LocalRegion) -> Repositories:
        return Repositories(region.folder / "codecommit")

    def services(region: LocalRegion) -> list[Service]:
        builds.append(ScriptedCodeBuild(region))
        pipelines.append(CodePipeline(region, archive=repositories(region).archive, emit=events))
        return [CodeCommit(region, repositories(region)), builds[0], CloudFormation(region), pipelines[0]]

    region = serve(services, lambda region: {PREFIX: GitHttp(region, repositories(region))})
    work = furnish(region, tmp_path / "work")
    made = World(region, builds[0], events, pipelines[0], work)
    made.commit("first")
    return made
