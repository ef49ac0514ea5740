"""The way back to an earlier release: which S3 versions become current again. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.errors import PipelineError
from pipeline.release.bucket import ABSENT, Listed
from pipeline.release.kept import is_kept
from pipeline.release.plan import Action, PartRow, Plan, Row, TaskRow
from pipeline.release.record import PARTS, PartName, PartRecord, ReleaseRecord


def default_target(current: ReleaseRecord, restored: ReleaseRecord | None) -> str:
    """The release before the one that runs.

    After a rollback that is the one before the release that was restored, not the one that was left.

    Args:
        current: The current release.
        restored: When `current` is a rollback, the release it restored.

    Raises:
        PipelineError: There is none.
    """
    release = (restored or current).previous
    if release is None:
        raise PipelineError(
            f"{(restored or current).id} is the first release of {current.environment}: there is none before it"
        )
    return release


def no_release(bucket: str) -> PipelineError:
    """The error when nothing was ever released."""
    return PipelineError(
        "nothing was released yet", where=f"s3://{bucket}", mend="`pipeline sync` makes the first release."
    )


@dataclass(frozen=True)
class Standing:
    """How what is in the bucket relates to a release to be restored.

    Attributes:
        current: The current release.
        interrupted: The deploy (by its release) that an unfinished rollback was restoring: the bucket is a mix.
        levels: Key → its place in the order of publishing, for files the current release does not know.
        unsettled: Parts that an unfinished release may have changed.
    """

    current: ReleaseRecord | None = None
    interrupted: str | None = None
    levels: Mapping[str, int] = field(default_factory=dict)
    unsettled: tuple[PartName, ...] = ()

    def is_older(self, key: str, listed: Listed, target: ReleaseRecord) -> bool:
        """Whether a file in the bucket is of an earlier deploy than the target. Ids sort by time."""
        recorded = self.current.files.get(key) if self.current else None
        if self.current is not None and recorded is not None and recorded.etag == listed.etag:
            return deployed_as(self.current) < deployed_as(target)
        return self.interrupted is not None and self.interrupted < deployed_as(target)

    def goes_back_to(self, target: ReleaseRecord) -> bool:
        """Whether the target is the earlier one: of the current release, or of what a deploy began to put over it."""
        if self.current is None:
            return False
        began_later = self.current.id == target.id and self.interrupted is None
        return began_later or deployed_as(target) < deployed_as(self.current)

    def level(self, key: str) -> int:
        """How high a file in the bucket stands: above all it imports. A stranger may import anything."""
        recorded = self.current.files.get(key) if self.current else None
        if recorded is not None:
            return recorded.level
        highest = max((file.level for file in self.current.files.values()), default=0) if self.current else 0
        return self.levels.get(key, 1 + max(highest, max(self.levels.values(), default=0)))


def deployed_as(release: ReleaseRecord) -> str:
    """The deploy whose files a release holds: itself, or what it restored."""
    return release.restores or release.id


def decide(
    target: ReleaseRecord, standing: Standing, listing: Mapping[str, Listed], keep: Collection[str] = ()
) -> Plan:
    """The plan that makes the bucket hold what a recorded release held.

    | in the target | in the bucket                       | action  | order                          |
    | ------------- | ----------------------------------- | ------- | ------------------------------ |
    | any           | any, named by keep                  | leave   |                                |
    | yes           | as in the target                    | keep    |                                |
    | yes           | no                                  | restore | upwards                        |
    | yes           | of an earlier deploy (roll forward) | restore | upwards                        |
    | yes           | otherwise                           | restore | downwards, after all of these  |
    | no            | yes                                 | delete  | downwards, among them          |

    Upwards: what is imported before what imports it, by the target's imports. Downwards: what imports before what is
    imported, by the imports of what is there now. So no DAG ever stands beside a helper older than its own, whichever
    way the files go, and a DAG that the target does not know is gone before its helper goes back. Requirements, plugins
    and startup script are as helpers to all DAGs: back to an earlier deploy the files go first, which takes seconds,
    and then MWAA replaces its workers; forward to a later one it is the other way round.

    Args:
        target: The release to restore.
        standing: How the bucket relates to it.
        listing: What is below `dags/` now.
        keep: Patterns of keys that are left alone; see `kept.py`.
    """
    upwards = 1 + max((file.level for file in target.files.values()), default=0)
    highest = max((standing.level(key) for key in listing), default=0)

    def row(key: str) -> Row:
        listed, file = listing.get(key), target.files.get(key)
        if is_kept(key, keep):
            return Row(Action.LEAVE, key, "named in `keep`")
        if listed is None and file is not None:
            return Row(Action.RESTORE, key, "missing now", file.level, expected=ABSENT, version=file.version)
        if listed is None:
            raise AssertionError(key)  # every key comes from the target or the listing
        phase = upwards + highest - standing.level(key)
        if file is None:
            if key.endswith("/"):
                return Row(Action.LEAVE, key, "the console's marker of a folder")
            return Row(Action.DELETE, key, f"not in {target.id}", phase, expected=listed.etag)
        if listed.etag == file.etag:
            return Row(Action.KEEP, key, "as it was")
        if standing.is_older(key, listed, target):
            phase = file.level
        reason = f"differs from {target.id}"
        return Row(Action.RESTORE, key, reason, phase, expected=listed.etag, version=file.version)

    rows = sorted((row(key) for key in {*target.files, *listing}), key=lambda row: (row.phase, row.key))
    current = standing.current
    before = {name: task.task_definition for name, task in (current.tasks if current else {}).items()}
    after = {name: task.task_definition for name, task in target.tasks.items()}
    return Plan(
        environment=target.environment,
        base=current.id if current else None,
        rows=tuple(rows),
        parts=tuple(_part_rows(target.parts, current.parts if current else {}, standing.unsettled)),
        tasks=tuple(
            TaskRow(name, before.get(name), after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ),
        parts_last=standing.goes_back_to(target),
    )


def _part_rows(
    target: Mapping[PartName, PartRecord], current: Mapping[PartName, PartRecord], unsettled: Collection[PartName]
) -> Iterator[PartRow]:
    for name in PARTS:
        if name in target:
            same = name in current and current[name].sha256 == target[name].sha256 and name not in unsettled
            action, reason = (Action.KEEP, "as it was") if same else (Action.RESTORE, "differs now")
            yield PartRow(action, name, reason, target[name].version, unsettled=name in unsettled)
        elif name in current or name in unsettled:
            reason = "did not exist then: an empty one takes its place"
            yield PartRow(Action.UPLOAD, name, reason, unsettled=name in unsettled)
