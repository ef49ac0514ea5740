"""The way back to an earlier release: which S3 versions become current again. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from pipeline.errors import PipelineError
from pipeline.release.bucket import ABSENT, Listed
from pipeline.release.plan import Action, PartRow, Plan, Row, TaskRow
from pipeline.release.record import PARTS, FileRecord, PartName, PartRecord, ReleaseRecord
from pipeline.release.tree import DAGS_PREFIX


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


def decide(
    target: ReleaseRecord, current: ReleaseRecord | None, listing: Mapping[str, Listed], keep: Collection[str] = ()
) -> Plan:
    """The plan that makes the bucket hold what a recorded release held.

    | in the target | in the bucket      | action  |
    | ------------- | ------------------ | ------- |
    | any           | any, named by keep | leave   |
    | yes           | as in the target   | keep    |
    | yes           | otherwise, or not  | restore |
    | no            | yes                | delete  |

    Order: first what is missing, imported files before those that import them; then what is replaced, the other way
    round, so that a DAG is never newer than the helper it imports; deletions last.
    """
    highest = max((file.level for file in target.files.values()), default=0)
    rows = sorted(
        (_row(key, target, listing.get(key), keep, highest) for key in {*target.files, *listing}),
        key=lambda row: (row.phase, row.key),
    )
    before = {name: task.task_definition for name, task in (current.tasks if current else {}).items()}
    after = {name: task.task_definition for name, task in target.tasks.items()}
    return Plan(
        environment=target.environment,
        base=current.id if current else None,
        rows=tuple(rows),
        parts=tuple(_part_rows(target.parts, current.parts if current else {})),
        tasks=tuple(
            TaskRow(name, before.get(name), after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ),
    )


def _row(key: str, target: ReleaseRecord, listed: Listed | None, keep: Collection[str], highest: int) -> Row:
    if any(fnmatchcase(key.removeprefix(DAGS_PREFIX), glob) for glob in keep):
        return Row(Action.LEAVE, key, "named in `keep`")
    file = target.files.get(key)
    if file is None:
        if key.endswith("/"):
            return Row(Action.LEAVE, key, "the console's marker of a folder")
        return Row(
            Action.DELETE, key, f"not in {target.id}", phase=2 * highest + 2, expected=listed.etag if listed else ABSENT
        )
    if listed is None:
        row = _restore(key, file, "missing now")
        return replace(row, phase=file.level)
    if listed.etag == file.etag:
        return Row(Action.KEEP, key, "as it was")
    row = _restore(key, file, f"differs from {target.id}")
    return replace(row, phase=highest + 1 + (highest - file.level), expected=listed.etag)


def _restore(key: str, file: FileRecord, reason: str) -> Row:
    return Row(Action.RESTORE, key, reason, version=file.version, expected=ABSENT)


def _part_rows(target: Mapping[PartName, PartRecord], current: Mapping[PartName, PartRecord]) -> Iterator[PartRow]:
    for name in PARTS:
        if name in target:
            same = name in current and current[name].sha256 == target[name].sha256
            action, reason = (Action.KEEP, "as it was") if same else (Action.RESTORE, "differs now")
            yield PartRow(action, name, reason, version=target[name].version)
        elif name in current:
            yield PartRow(Action.UPLOAD, name, "did not exist then: an empty one takes its place")
