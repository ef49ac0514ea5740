"""All of git that the product uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.process import CommandError, run


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

    def changed_files(self) -> list[str]:
        """Paths whose content in the working tree differs from HEAD, new ones included."""
        return [line[3:] for line in self._git("status", "--porcelain").splitlines()]

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return self._git("show", "--no-patch", "--format=%s", commit)

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
