"""What a release manager reads before approving: the difference between what runs and this commit. Pure.

Made before the environment's stacks are deployed, so new task definitions show as images with another tag and as
settings that change (`stacks.py`), not as revisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.release.commits import Between
from pipeline.release.evidence import Evidence, Suite
from pipeline.release.imports import importers_of
from pipeline.release.in_flight import InFlight
from pipeline.release.plan import Action, Plan
from pipeline.release.record import FileRecord, ReleaseRecord
from pipeline.release.stacks import Stacks
from pipeline.release.structure import Dag, DagDifference, difference
from pipeline.release.tree import DAGS_PREFIX, PART_KEYS, Tree


@dataclass(frozen=True)
class Files:
    """Files of the DAG folder, by path below it."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many differ."""
        return len(self.added) + len(self.removed) + len(self.changed)


@dataclass(frozen=True)
class ImageChange:
    """A container whose image differs. `before` is None when it has none yet, `after` when the container is gone."""

    container: str
    before: str | None
    after: str | None
    reason: str
    size: int | None = None


@dataclass(frozen=True)
class Dossier:
    """The difference, and what is known about it.

    Attributes:
        uncommitted: The working tree differs from the commit.
        written: When the environment was asked.
        running: The release that runs; None when there is none, or `unread` says why it is not known.
        deployed: False for an environment that has no stacks yet.
        unread: Why the environment could not be read: it may not be deployed yet. Then nothing is known to differ:
            `files`, `dags` and `images` hold what is in this commit.
        commits: None when the commits are not known; `commits_unknown` says why.
        dags: None when one of the two has no structures; then `files` is all that is known.
        images: None when those of this commit are not known; `images_unknown` says why.
        parts: Key of requirements, plugins or startup script → reason. If there is one, the workers are replaced. None
            when what runs is not known, as for `requirements` and `drift`.
        pinned: MWAA may be pinned to the versions of all these parts already; then the workers stay.
        requirements: Lines that come (`+ …`) and go (`- …`).
        stacks: What the environment's stacks change beyond images; nothing is known of it where it could not be read.
        drift: Key → what somebody did by hand since the last release; a deploy undoes it.
    """

    environment: str
    commit: str
    uncommitted: bool = False
    written: datetime | None = None
    running: ReleaseRecord | None = None
    deployed: bool = True
    unread: str = ""
    commits: Between | None = None
    commits_unknown: str = ""
    files: Files = field(default_factory=Files)
    dags: DagDifference | None = None
    images: tuple[ImageChange, ...] | None = None
    images_unknown: str = "no step left images.json"
    parts: Mapping[str, str] | None = field(default_factory=dict)
    requirements: tuple[str, ...] | None = ()
    replacement: str = "GRACEFUL"
    pinned: bool = False
    stacks: Stacks = field(default_factory=Stacks)
    drift: Mapping[str, str] | None = field(default_factory=dict)
    tests: tuple[Suite, ...] = ()
    in_flight: InFlight = field(default_factory=InFlight)

    @property
    def replaces_workers(self) -> bool | None:
        """Whether MWAA replaces its workers; None when that is not known."""
        if self.parts is None:
            return None
        by_stacks = self.stacks.replaces_workers
        return by_stacks if not self.parts else (not self.pinned or by_stacks or None)

    @property
    def is_empty(self) -> bool:
        """Whether no difference was found: a deploy would do nothing to Airflow, its images or its tasks.

        What is not known counts for none here; whoever tells it says so.
        """
        differs = self.files.count or self.drift or self.images or self.parts or self.stacks.changes
        return self.deployed and not (differs or self.unread)

    def document(self) -> dict[str, Any]:
        """For machines; null is what is not known."""
        commits, running = self.commits, self.running
        files, dags, images = (None, None, None) if self.unread else (self.files, self.dags, self.images)
        return {
            "environment": self.environment,
            "commit": self.commit,
            "uncommitted": self.uncommitted,
            "written": self.written.isoformat() if self.written else None,
            "running": None
            if running is None
            else {"release": running.id, "commit": running.commit, "uncommitted": running.uncommitted},
            "deployed": self.deployed,
            "unread": self.unread or None,
            "commits": None
            if commits is None
            else {
                "authors": list(commits.authors),
                "complete": commits.complete,
                "added": [vars(commit) for commit in commits.added],
                "taken_back": [vars(commit) for commit in commits.taken_back],
            },
            "files": None if files is None else {key: list(paths) for key, paths in vars(files).items()},
            "dags": None
            if dags is None
            else {
                kind: [{"dag_id": each.dag_id, "what": list(each.lines)} for each in changes]
                for kind, changes in vars(dags).items()
            },
            "images": None if images is None else [vars(image) for image in images],
            "stacks": None if self.unread or not self.deployed else self._stacks(),
            "parts": None if self.parts is None else dict(self.parts),
            "requirements": None if self.requirements is None else list(self.requirements),
            "replaces_workers": self.replaces_workers,
            "replacement": self.replacement,
            "drift": None if self.drift is None else dict(self.drift),
            "tests": [vars(tests) for tests in self.tests],
            "in_flight": {
                "runs": dict(self.in_flight.runs),
                "tasks": dict(self.in_flight.tasks),
                "unknown": self.in_flight.unknown or None,
            },
        }

    def _stacks(self) -> dict[str, Any]:
        return {
            name: {"changes": [vars(change) for change in each.changes], "unknown": each.unknown or None}
            for name, each in vars(self.stacks).items()
        }


def files_of(plan: Plan, tree: Tree, running: ReleaseRecord | None) -> Files:
    """The files two releases differ in. It compares releases; the bucket matters only for drift."""
    left_alone = {row.key for row in plan.rows if row.action is Action.LEAVE}
    recorded: Mapping[str, FileRecord] = running.files if running else {}
    before = {_below(key): file.sha256 for key, file in recorded.items() if key not in left_alone}
    after = {_below(key): source.sha256 for key, source in tree.files.items() if key not in left_alone}
    return Files(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
    )


def dags_of(
    files: Files, tree: Tree, running: ReleaseRecord | None, now: Mapping[str, Dag] | None
) -> DagDifference | None:
    """How DAGs differ; None when the structures of either side are not known.

    A DAG whose structure is the same is still changed when its file is, or anything its file imports.
    """
    before: Mapping[str, Dag] | None = {} if running is None else running.dags
    if before is None or now is None:
        return None
    changed = {*files.changed, *files.added}
    touched = dict.fromkeys((path for path in changed), "its code changed")
    for path in sorted(changed & tree.imports.keys()):
        for importer in importers_of(tree.imports, [path]) - changed:
            touched.setdefault(importer, f"{path}, which it imports, changed")
    return difference(before, now, touched)


def images_of(evidence: Evidence, running: ReleaseRecord | None) -> tuple[ImageChange, ...] | None:
    """Images of this commit that differ from those that run; None when this commit's are not known."""
    if evidence.images is None:
        return None
    before = {name: task.image for name, task in running.tasks.items()} if running else {}
    # One that others are only based on changes nothing by itself: those that do are listed themselves.
    wanted = {image.container: image for image in evidence.images if image.task}
    there = {image.container for image in evidence.images}
    changes = []
    for name in sorted(before.keys() | wanted.keys()):
        was = (before.get(name) or "").rpartition(":")[2] or None
        image = wanted.get(name)
        if image is None:
            reason = "it is only a base for others now" if name in there else "the container is gone"
            changes.append(ImageChange(name, was, None, reason))
        elif was != image.tag:
            changes.append(ImageChange(name, was, image.tag, image.reason, image.size))
    return tuple(changes)


def requirement_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    """Requirements that come and go, comments and order aside."""
    was, now = _requirements(before), _requirements(after)
    return (*(f"- {line}" for line in was if line not in now), *(f"+ {line}" for line in now if line not in was))


def parts_of(plan: Plan) -> dict[str, str]:
    """The parts that MWAA must be updated for, with the reasons."""
    return {PART_KEYS[row.name]: row.reason for row in plan.part_changes}


def _requirements(content: bytes) -> list[str]:
    lines = [line.split(" #")[0].strip() for line in content.decode(errors="replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _below(key: str) -> str:
    return key.removeprefix(DAGS_PREFIX)
