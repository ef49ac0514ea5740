"""All of git that the product uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.process import CommandError, run

# Fields of `git show` between NUL bytes, in the order of `Commit`. Dates as CodeCommit writes them: seconds and zone.
_COMMIT_FORMAT = "%H%x00%T%x00%P%x00%B%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd"


@dataclass(frozen=True)
class Commit:
    """One commit. Dates are `SECONDS ±HHMM`."""

    id: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: str
    author_email: str
    author_date: str
    committer: str
    committer_email: str
    committer_date: str


@dataclass(frozen=True)
class Git:
    """A repository, by its folder: a working tree or a bare one."""

    folder: Path

    def _git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        return run(["git", "-C", str(self.folder), *arguments], env=env).rstrip("\n")

    @staticmethod
    def create_bare(folder: Path, branch: str) -> "Git":
        """A new bare repository whose HEAD is `branch`."""
        run(["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", str(folder)])
        return Git(folder)

    @staticmethod
    def clone(url: str, folder: Path, *, revision: str | None = None, depth: int | None = None) -> "Git":
        """A clone in `folder`, at a branch, tag or commit; without one, `depth` commits of the default branch."""
        shallow = [f"--depth={depth}"] if depth and revision is None else []
        run(["git", "clone", "--quiet", *shallow, url, str(folder)])
        clone = Git(folder)
        if revision is not None:
            clone._git("checkout", "--quiet", revision)
        return clone

    def commit_of(self, revision: str) -> str | None:
        """The full id of a commit, or None when the revision names none."""
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except CommandError:
            return None

    def branches(self) -> dict[str, str]:
        """Branch name → commit id."""
        listing = self._git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return dict(line.split(" ", 1) for line in listing.splitlines())

    def changed_files(self, below: str = ".", *, ignored: bool = False) -> list[str]:
        """Paths, from this folder, whose content in the working tree differs from HEAD, new and deleted ones included.

        Args:
            below: The folder to look in, from this one, which need not be the repository's top.
            ignored: Look for files that git is told to ignore as well, and name each new file instead of its folder.
        """
        every = ["--untracked-files=all", "--ignored"] if ignored else []
        # A rename as what it is here, a file that is gone and one that is new; and no path in quotes.
        told = self._git("status", "--porcelain", "-z", "--no-renames", *every, "--", below)
        prefix = self._git("rev-parse", "--show-prefix")  # of this folder: what git tells is from the top
        return [entry[3:].removeprefix(prefix) for entry in told.split("\0") if entry]

    def commit(self, revision: str) -> Commit | None:
        """A commit's own data, or None when the revision names no commit."""
        found = self.commit_of(revision)
        if found is None:
            return None
        shown = self._git("show", "--no-patch", "--date=raw", f"--format={_COMMIT_FORMAT}", found)
        commit, tree, parents, message, *people = shown.split("\0")
        return Commit(commit, tree, tuple(parents.split()), message, *people)

    def configure(self, key: str, value: str) -> None:
        """Set an option of this repository."""
        self._git("config", key, value)

    def archive(self, commit: str, path: Path) -> None:
        """Write the files of a commit as a ZIP, without git's metadata."""
        self._git("archive", "--format=zip", f"--output={path}", commit)

    def set_remote(self, name: str, url: str) -> None:
        """Let a remote point at `url`, whether it existed or not."""
        known = name in self._git("remote").splitlines()
        self._git("remote", "set-url" if known else "add", name, url)

    def push(self, remote: str, source: str, branch: str) -> None:
        """Move `branch` of the remote to `source`, by fast-forward or not: the remote is this machine's own."""
        self._git("push", "--quiet", "--force", remote, f"{source}:refs/heads/{branch}")
