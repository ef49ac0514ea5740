"""The repositories on disk, and what a push changed in them."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.git import Git

DEFAULT_BRANCH = "main"
NAME = re.compile(r"[\w.-]{1,100}")  # botocore: RepositoryName


@dataclass(frozen=True)
class BranchChange:
    """A branch that a push created, moved or deleted; commits are "" where there was or is none."""

    branch: str
    before: str
    after: str

    @property
    def event(self) -> str:
        """The name CodeCommit's event gives to it."""
        if not self.before:
            return "referenceCreated"
        return "referenceUpdated" if self.after else "referenceDeleted"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[BranchChange, ...]:
    """What is different between two states of a repository's branches, by name."""
    names = sorted(before.keys() | after.keys())
    moved = (BranchChange(name, before.get(name, ""), after.get(name, "")) for name in names)
    return tuple(change for change in moved if change.before != change.after)


@dataclass(frozen=True)
class Repositories:
    """Bare repositories in one folder, `NAME.git` each."""

    folder: Path

    def open(self, name: str) -> Git | None:
        """The repository, or None when there is none of that name."""
        path = self.folder / f"{name}.git"
        return Git(path) if NAME.fullmatch(name) and path.is_dir() else None

    def create(self, name: str) -> Git:
        """An empty repository of that name.

        What an earlier local AWS kept under it goes: nobody knows that repository any more, and a pipeline created on
        it would begin with a commit that was pushed in another life.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.delete(name)
        repository = Git.create_bare(self.folder / f"{name}.git", DEFAULT_BRANCH)
        repository.configure("http.receivepack", "true")
        # A clone made with --depth may push: CI systems make such clones.
        repository.configure("receive.shallowUpdate", "true")
        return repository

    def delete(self, name: str) -> None:
        """Remove a repository and all it holds."""
        repository = self.open(name)
        if repository:
            shutil.rmtree(repository.folder)

    def archive(self, name: str, commit: str, path: Path) -> None:
        """Write a commit's files as a ZIP without git's metadata, as CodePipeline's source action does.

        Raises:
            FileNotFoundError: There is no such repository.
        """
        repository = self.open(name)
        if repository is None:
            raise FileNotFoundError(name)
        repository.archive(commit, path)
