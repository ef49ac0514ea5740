"""The commits between two releases: from git where it knows them, else from CodeCommit; CodeBuild gets no history."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.git import Git

if TYPE_CHECKING:
    import boto3

MOST = 200  # commits looked at: enough for any release somebody can still review
_SLACK = 5  # commits looked at after nothing can change: the clocks of committers differ (git does so, too)


@dataclass(frozen=True)
class Commit:
    """A commit, as far as a release manager wants to know.

    `time` is when it was committed, in seconds since 1970: cherry-picking, rebasing and applying patches keep the
    author's date, which may be older than that of the commits below.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    time: int
    title: str


@dataclass(frozen=True)
class Between:
    """Commits from one release to the next.

    Attributes:
        added: Those the next has and the running one has not, newest first.
        taken_back: Those the running one has and the next has not: its history was left. None are told unless
            `complete`, for then any of them may turn out to be common.
        complete: All were looked at; else there may be more.
    """

    added: tuple[Commit, ...] = ()
    taken_back: tuple[Commit, ...] = ()
    complete: bool = True

    @property
    def authors(self) -> tuple[str, ...]:
        """Who wrote what is added, each once, by name."""
        return tuple(sorted({commit.author for commit in self.added}))


CommitOf = Callable[[str], Commit | None]


def between(running: str, following: str, commit_of: CommitOf, most: int = MOST) -> Between | None:
    """The commits that only one of two has in its history; None when one of the two is not known.

    From both ends the histories are walked, newest commit first, until nothing that is left can be what only one has,
    nor show that a commit is common which seemed not to be.
    """
    ends = (commit_of(following), commit_of(running))
    if ends[0] is None or ends[1] is None:
        return None
    reached: dict[str, set[int]] = {}
    seen: dict[str, Commit] = {}
    queue: list[tuple[int, str]] = []
    for side, end in enumerate(ends):
        assert end is not None  # noqa: S101 - mypy does not see it from above
        seen[end.id] = end
        reached.setdefault(end.id, set()).add(side)
        heappush(queue, (-end.time, end.id))
    complete, slack = True, _SLACK
    while queue:
        if _is_open(queue, seen, reached):
            slack = _SLACK
            if len(seen) > most:
                complete = False
                break
        elif slack == 0:
            break
        else:
            slack -= 1
        _, current = heappop(queue)
        for parent in _parents(seen[current], seen, commit_of):
            if not reached.get(parent.id, set()) >= reached[current]:
                reached.setdefault(parent.id, set()).update(reached[current])
                heappush(queue, (-parent.time, parent.id))
    newest_first = sorted(seen.values(), key=lambda commit: (-commit.time, commit.id))
    added, taken_back = (
        tuple(commit for commit in newest_first if reached[commit.id] == {side}) for side in range(len(ends))
    )
    return Between(added, taken_back if complete else (), complete)


def _is_open(queue: Sequence[tuple[int, str]], seen: Mapping[str, Commit], reached: Mapping[str, set[int]]) -> bool:
    """Whether a commit that waits is only one side's, or may lie above one that is, which then is common as it is."""
    newest = -queue[0][0]
    return any(len(reached[commit]) == 1 for _, commit in queue) or any(
        commit.time <= newest and len(reached[commit.id]) == 1 for commit in seen.values()
    )


def _parents(commit: Commit, seen: dict[str, Commit], commit_of: CommitOf) -> Iterator[Commit]:
    for parent in commit.parents:
        if parent not in seen and (found := commit_of(parent)) is not None:
            seen[parent] = found
        if parent in seen:
            yield seen[parent]


def from_git(git: Git) -> CommitOf:
    """Commits of a repository on this machine."""

    def commit_of(commit: str) -> Commit | None:
        found = git.commit(commit)
        if found is None:
            return None
        return Commit(found.id, found.parents, found.author, _seconds(found.committer_date), _title(found.message))

    return commit_of


def from_codecommit(session: "boto3.Session", repository: str) -> CommitOf:
    """Commits of a CodeCommit repository.

    Raises (when called):
        PipelineError: CodeCommit refuses, or cannot be reached.
    """
    codecommit = session.client("codecommit")

    def commit_of(commit: str) -> Commit | None:
        try:
            found = codecommit.get_commit(repositoryName=repository, commitId=commit)["commit"]
        except codecommit.exceptions.CommitIdDoesNotExistException:
            return None
        except codecommit.exceptions.InvalidCommitIdException:
            return None
        except (ClientError, BotoCoreError) as error:
            raise PipelineError(f"CodeCommit does not tell the commit {commit}: {error}", where=repository) from None
        author = found.get("author", {})
        return Commit(
            id=commit,
            parents=tuple(found.get("parents", [])),
            author=author.get("name", ""),
            time=_seconds(found.get("committer", {}).get("date", "0")),
            title=_title(found.get("message", "")),
        )

    return commit_of


def _seconds(date: str) -> int:
    return int(date.split(maxsplit=1)[0])


def _title(message: str) -> str:
    return message.strip().partition("\n")[0]
