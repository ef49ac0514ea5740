"""CodeCommit, with the real git and boto3 as its clients."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.git import Git
from pipeline.localaws.codecommit.http import PREFIX, GitHttp
from pipeline.localaws.codecommit.repositories import BranchChange, Repositories, changes
from pipeline.localaws.codecommit.service import CodeCommit
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service
from pipeline.process import CommandError, run
from tests.localaws.conftest import Serve


class StartedPipelines(Service):
    """Stands in for CodePipeline: remembers what was started."""

    name = "codepipeline"

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self.started: list[str] = []

    def start_pipeline_execution(self, request: Document, _: Call) -> Document:
        self.started.append(request["name"])
        return {"pipelineExecutionId": "11111111-1111-1111-1111-111111111111"}


@pytest.fixture
def region(serve: Serve) -> LocalRegion:
    return serve(
        lambda region: [CodeCommit(region, _repositories(region)), StartedPipelines(region)],
        lambda region: {PREFIX: GitHttp(region, _repositories(region))},
    )


def _repositories(region: LocalRegion) -> Repositories:
    return Repositories(region.folder / "codecommit")


@pytest.fixture
def clone(tmp_path: Path, region: LocalRegion) -> Callable[[], Git]:
    """A working tree with one commit whose remote is the repository `etl`."""

    def make() -> Git:
        url = region.client("codecommit").create_repository(repositoryName="etl")["repositoryMetadata"]["cloneUrlHttp"]
        folder = tmp_path / "work"
        run(["git", "init", "--quiet", "--initial-branch=main", str(folder)])
        work = Git(folder)
        commit(work, "first", "README.md", "hello")
        work.set_remote("local", url)
        return work

    return make


def commit(work: Git, message: str, name: str, content: str) -> str:
    path = work.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    who = {f"GIT_{role}_{field}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    run(["git", "-C", str(work.folder), "add", "-A"])
    run(["git", "-C", str(work.folder), "commit", "--quiet", "-m", message], env=who)
    found = work.commit_of("HEAD")
    assert found
    return found


def test_a_push_moves_the_branch_and_the_api_agrees(region: LocalRegion, clone: Callable[[], Git]) -> None:
    work = clone()
    work.push("local", "HEAD", "main")
    api = region.client("codecommit")
    pushed = api.get_branch(repositoryName="etl", branchName="main")["branch"]["commitId"]
    assert pushed == work.commit_of("HEAD")
    details = api.get_commit(repositoryName="etl", commitId=pushed)["commit"]
    assert details["message"] == "first\n"
    assert details["author"]["email"] == "a@b.c"


def test_a_push_of_many_megabytes_arrives_whole(region: LocalRegion, clone: Callable[[], Git], tmp_path: Path) -> None:
    work = clone()
    commit(work, "big", "big.bin", "".join(f"{number:x}" for number in range(1_000_000)))
    work.push("local", "HEAD", "main")
    run(["git", "clone", "--quiet", f"{region.endpoint}{PREFIX}etl", str(tmp_path / "again")])
    assert (tmp_path / "again/big.bin").read_bytes() == (work.folder / "big.bin").read_bytes()


def test_a_push_starts_the_pipelines_whose_rule_matches_the_branch(serve: Serve, tmp_path: Path) -> None:
    made: list[StartedPipelines] = []

    def services(region: LocalRegion) -> list[Service]:
        made.append(StartedPipelines(region))
        return [CodeCommit(region, _repositories(region)), made[0]]

    region = serve(services, lambda region: {PREFIX: GitHttp(region, _repositories(region))})
    url = region.client("codecommit").create_repository(repositoryName="etl")["repositoryMetadata"]["cloneUrlHttp"]
    pattern: dict[str, Any] = {
        "source": ["aws.codecommit"],
        "detail-type": ["CodeCommit Repository State Change"],
        "resources": ["arn:aws:codecommit:eu-west-1:123456789012:etl"],
        "detail": {"event": ["referenceCreated", "referenceUpdated"], "referenceName": ["main"]},
    }
    events = region.client("events")
    events.put_rule(Name="on-push", EventPattern=json.dumps(pattern), State="ENABLED")
    target = {"Id": "1", "Arn": "arn:aws:codepipeline:eu-west-1:123456789012:etl"}
    events.put_targets(Rule="on-push", Targets=[target])
    run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path / "work")])
    work = Git(tmp_path / "work")
    commit(work, "first", "a", "1")
    work.set_remote("local", url)
    work.push("local", "HEAD", "topic")
    assert made[0].started == []
    work.push("local", "HEAD", "main")
    work.push("local", "HEAD", "main")  # nothing moves: nothing starts
    commit(work, "second", "a", "2")
    work.push("local", "HEAD", "main")
    assert made[0].started == ["etl", "etl"]


def test_the_archive_of_a_commit_holds_its_files_with_their_modes(
    region: LocalRegion, clone: Callable[[], Git], tmp_path: Path
) -> None:
    work = clone()
    (work.folder / "run.sh").write_text("#!/bin/sh\n")
    (work.folder / "run.sh").chmod(0o755)
    tip = commit(work, "script", "b", "2")
    work.push("local", "HEAD", "main")
    _repositories(region).archive("etl", tip, tmp_path / "source.zip")
    run(["unzip", "-q", str(tmp_path / "source.zip"), "-d", str(tmp_path / "out")])
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o111
    assert not (tmp_path / "out/.git").exists()


def test_what_does_not_exist_is_named(region: LocalRegion, clone: Callable[[], Git], tmp_path: Path) -> None:
    api = region.client("codecommit")
    with pytest.raises(api.exceptions.RepositoryDoesNotExistException, match="nowhere"):
        api.get_repository(repositoryName="nowhere")
    with pytest.raises(CommandError, match="not found"):
        run(["git", "clone", f"{region.endpoint}{PREFIX}nowhere", str(tmp_path / "x")])
    clone()
    with pytest.raises(api.exceptions.BranchDoesNotExistException, match="topic"):
        api.get_branch(repositoryName="etl", branchName="topic")
    with pytest.raises(ClientError, match="does not implement codecommit:CreatePullRequest"):
        api.create_pull_request(title="x", targets=[{"repositoryName": "etl", "sourceReference": "topic"}])


def test_changes_of_branches_are_told_apart() -> None:
    """before → after → event: the rows of BranchChange.event."""
    found = changes({"kept": "1", "moved": "1", "gone": "1"}, {"kept": "1", "moved": "2", "new": "3"})
    assert [(change.branch, change.event) for change in found] == [
        ("gone", "referenceDeleted"),
        ("moved", "referenceUpdated"),
        ("new", "referenceCreated"),
    ]
    assert found[0] == BranchChange("gone", "1", "")
