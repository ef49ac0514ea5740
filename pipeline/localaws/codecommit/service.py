"""CodeCommit's API over the repositories."""

import uuid
from datetime import UTC, datetime
from typing import Any

from pipeline.git import Git
from pipeline.localaws.codecommit.http import PREFIX
from pipeline.localaws.codecommit.repositories import DEFAULT_BRANCH, Repositories
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError


class CodeCommit(Service):
    """Repositories, branches and commits, read from git itself."""

    name = "codecommit"

    def __init__(self, region: LocalRegion, repositories: Repositories) -> None:
        super().__init__(region)
        self._repositories = repositories
        self._known: dict[str, dict[str, Any]] = {}  # what the API says of a repository besides git's own

    def create_repository(self, request: Document, call: Call) -> Document:
        """A new repository, reachable over git at `cloneUrlHttp`."""
        name = request["repositoryName"]
        if name in self._known:
            raise ServiceError("RepositoryNameExistsException", f"Repository named {name} already exists")
        if name.endswith(".git"):
            raise ServiceError("InvalidRepositoryNameException", f"{name}: a repository's name must not end in .git")
        self._repositories.create(name)
        now = datetime.now(UTC)
        self._known[name] = {
            "accountId": call.account,
            "repositoryId": str(uuid.uuid4()),
            "repositoryName": name,
            "repositoryDescription": request.get("repositoryDescription", ""),
            "defaultBranch": DEFAULT_BRANCH,
            "creationDate": now,
            "lastModifiedDate": now,
            "cloneUrlHttp": f"{self.region.endpoint}{PREFIX}{name}",
            "Arn": f"arn:aws:codecommit:{call.region}:{call.account}:{name}",
            "_tags": dict(request.get("tags", {})),
        }
        return {"repositoryMetadata": self._metadata(name)}

    def get_repository(self, request: Document, _: Call) -> Document:
        """What is known of a repository."""
        return {"repositoryMetadata": self._metadata(request["repositoryName"])}

    def batch_get_repositories(self, request: Document, _: Call) -> Document:
        """The same for several; unknown ones are listed apart."""
        names = request["repositoryNames"]
        return {
            "repositories": [self._metadata(name) for name in names if name in self._known],
            "repositoriesNotFound": [name for name in names if name not in self._known],
        }

    def list_repositories(self, _request: Document, _: Call) -> Document:
        """All names and ids."""
        keys = ("repositoryName", "repositoryId")
        return {"repositories": [{key: known[key] for key in keys} for known in self._known.values()]}

    def delete_repository(self, request: Document, _: Call) -> Document:
        """Forget a repository and remove its content."""
        known = self._known.pop(request["repositoryName"], None)
        if known is None:
            return {}
        self._repositories.delete(request["repositoryName"])
        return {"repositoryId": known["repositoryId"]}

    def update_repository_description(self, request: Document, _: Call) -> Document:
        """Change the description."""
        self._git(request["repositoryName"])
        self._known[request["repositoryName"]]["repositoryDescription"] = request.get("repositoryDescription", "")
        return {}

    def list_branches(self, request: Document, _: Call) -> Document:
        """The names of all branches."""
        return {"branches": sorted(self._git(request["repositoryName"]).branches())}

    def get_branch(self, request: Document, _: Call) -> Document:
        """The commit a branch points at."""
        name = request.get("branchName", DEFAULT_BRANCH)
        commit = self._git(request["repositoryName"]).branches().get(name)
        if commit is None:
            raise ServiceError("BranchDoesNotExistException", f"Branch {name} does not exist")
        return {"branch": {"branchName": name, "commitId": commit}}

    def get_commit(self, request: Document, _: Call) -> Document:
        """One commit: tree, parents, message, author and committer."""
        commit = self._git(request["repositoryName"]).commit(request["commitId"])
        if commit is None:
            raise ServiceError("CommitIdDoesNotExistException", f"Commit {request['commitId']} does not exist")
        return {
            "commit": {
                "commitId": commit.id,
                "treeId": commit.tree,
                "parents": list(commit.parents),
                "message": commit.message,
                "author": {"name": commit.author, "email": commit.author_email, "date": commit.author_date},
                "committer": {
                    "name": commit.committer,
                    "email": commit.committer_email,
                    "date": commit.committer_date,
                },
                "additionalData": "",
            }
        }

    def list_tags_for_resource(self, request: Document, _: Call) -> Document:
        """The tags of a repository, by its ARN."""
        return {"tags": self._tags(request["resourceArn"])}

    def tag_resource(self, request: Document, _: Call) -> Document:
        """Add or replace tags."""
        self._tags(request["resourceArn"]).update(request["tags"])
        return {}

    def untag_resource(self, request: Document, _: Call) -> Document:
        """Remove tags."""
        tags = self._tags(request["resourceArn"])
        for key in request["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        name = arn.rpartition(":")[2]
        self._git(name)
        tags: dict[str, str] = self._known[name]["_tags"]
        return tags

    def _metadata(self, name: str) -> dict[str, Any]:
        self._git(name)
        return {key: value for key, value in self._known[name].items() if not key.startswith("_")}

    def _git(self, name: str) -> Git:
        repository = self._repositories.open(name) if name in self._known else None
        if repository is None:
            raise ServiceError("RepositoryDoesNotExistException", f"{name} does not exist")
        return repository
