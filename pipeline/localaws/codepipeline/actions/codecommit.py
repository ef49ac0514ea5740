"""Source/CodeCommit: the head of a branch as a ZIP without git's history."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pipeline.localaws.codepipeline.actions.work import CONFIGURATION_ERROR, ActionFailedError, Outcome, Perform, Work
from pipeline.localaws.codepipeline.records import External, Revision

Archive = Callable[[str, str, Path], None]  # repository, commit, the ZIP to write

SUMMARY_LENGTH = 2048  # API reference: RevisionSummary


def source(archive: Archive) -> Perform:
    """The action, given what writes a commit's files into a ZIP."""

    def perform(work: Work) -> Outcome:
        repository, branch = work.configuration["RepositoryName"], work.configuration["BranchName"]
        codecommit = work.client("codecommit")
        commit = work.revisions.get("") or _head(codecommit, repository, branch)
        details = _commit(codecommit, repository, commit)
        url = (
            f"https://{work.region}.console.aws.amazon.com/codesuite/codecommit/repositories/{repository}"
            f"/commit/{commit}?region={work.region}"
        )
        work.report(External(id=commit, url=url))
        path = work.folder / "source.zip"
        archive(repository, commit, path)
        for artifact in work.outputs:
            work.write(artifact, path)
        message = details["message"].strip()
        return Outcome(
            variables={
                "RepositoryName": repository,
                "BranchName": branch,
                "CommitId": commit,
                "CommitMessage": message,
                "AuthorDate": iso(details["author"]["date"]),
                "CommitterDate": iso(details["committer"]["date"]),
            },
            external=External(commit, url, message[:SUMMARY_LENGTH]),
            revision=Revision(commit, message[:SUMMARY_LENGTH], url, datetime.now(UTC)),
        )

    return perform


def _head(codecommit: Any, repository: str, branch: str) -> str:
    try:
        return str(codecommit.get_branch(repositoryName=repository, branchName=branch)["branch"]["commitId"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "BranchDoesNotExistException":
            raise ActionFailedError(
                CONFIGURATION_ERROR,
                f"The action failed because no branch named {branch} was found in the selected AWS CodeCommit"
                f" repository {repository}. Make sure you are using the correct branch name, and then try again.",
            ) from None
        if code == "RepositoryDoesNotExistException":
            raise ActionFailedError(
                CONFIGURATION_ERROR,
                f"The action failed because no repository named {repository} was found. Make sure you are using the"
                " correct repository name, and then try again.",
            ) from None
        raise


def _commit(codecommit: Any, repository: str, commit: str) -> Any:
    try:
        return codecommit.get_commit(repositoryName=repository, commitId=commit)["commit"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "CommitIdDoesNotExistException":
            raise ActionFailedError(
                CONFIGURATION_ERROR, f"The commit {commit} does not exist in the repository {repository}"
            ) from None
        raise


def iso(date: str) -> str:
    """`1770000000 +0200`, as CodeCommit gives dates, the way CodePipeline's variables show them.

    What is not of that form is given back unchanged.
    """
    seconds = date.split(" ", maxsplit=1)[0]
    if not seconds.isdigit():
        return date
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
