"""What a release must do to a bucket and to MWAA. Pure.

Decided from three things: the working tree, the current release's record, and one listing of the bucket.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.names import RELEASE_FILE
from pipeline.release.bucket import ABSENT, Listed
from pipeline.release.kept import is_kept
from pipeline.release.plugins import EMPTY_ZIP
from pipeline.release.record import PARTS, FileRecord, PartName, PartRecord, ReleaseRecord, TaskRecord
from pipeline.release.tree import PART_KEYS, Source, generated

# MWAA cannot be told to forget these; it can only be pointed at something empty (MWAA user guide).
EMPTY_PARTS: dict[PartName, bytes] = {"requirements": b"", "plugins": EMPTY_ZIP, "startup": b"#!/bin/sh\n"}


class Action(StrEnum):
    """What is done with a key."""

    UPLOAD = "upload"
    ADOPT = "adopt"  # its content is there already; only its version is noted
    RESTORE = "restore"  # from an earlier version, on the server
    DELETE = "delete"
    KEEP = "keep"
    LEAVE = "leave alone"

    @property
    def changes(self) -> bool:
        """Whether the bucket or the record differs afterwards."""
        return self not in (Action.KEEP, Action.LEAVE)


@dataclass(frozen=True)
class Row:
    """A key, what is done with it, and why.

    Attributes:
        phase: Rows of a phase are done side by side; phases one after the other.
        drift: Somebody or something other than a release changed the key.
        expected: The ETag the key has now, or `ABSENT`: the write is refused if that is no longer so.
        version: For RESTORE: the S3 version.
    """

    action: Action
    key: str
    reason: str
    phase: int = 0
    drift: bool = False
    expected: str = ABSENT
    version: str = ""


@dataclass(frozen=True)
class PartRow:
    """A part that MWAA pins by version. Anything but KEEP needs UpdateEnvironment, which replaces the workers.

    Attributes:
        unsettled: Unless MWAA is pinned to that version already: a release that did not end may have brought it, or
            MWAA may have restored it when its update failed.
    """

    action: Action
    name: PartName
    reason: str
    version: str = ""
    unsettled: bool = False


@dataclass(frozen=True)
class TaskRow:
    """A container whose task definition differs from the current release's."""

    container: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Plan:
    """Everything a release does, in order.

    Attributes:
        base: The release it starts from.
        rows: By phase, then key.
        parts_last: MWAA gets the parts after the files, not before: on the way back what needs something newer goes
            before it, as it comes after it on the way there.
    """

    environment: str
    base: str | None
    rows: tuple[Row, ...]
    parts: tuple[PartRow, ...]
    tasks: tuple[TaskRow, ...]
    parts_last: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to release: the environment runs exactly this, and a record says so."""
        return self.base is not None and not self.changes and not self.part_changes and not self.tasks

    @property
    def changes(self) -> tuple[Row, ...]:
        """The rows that do something."""
        return tuple(row for row in self.rows if row.action.changes)

    @property
    def part_changes(self) -> tuple[PartRow, ...]:
        """The parts that need UpdateEnvironment."""
        return tuple(row for row in self.parts if row.action.changes)

    @property
    def replaces_workers(self) -> bool | None:
        """Whether MWAA replaces its workers; None when it may be pinned to all these versions already."""
        changes = self.part_changes
        return None if changes and all(row.unsettled for row in changes) else bool(changes)

    def count(self, action: Action) -> int:
        """How many rows have an action."""
        return sum(row.action is action for row in self.rows)


def decide(
    environment: str,
    *,
    wanted: Mapping[str, Source],
    parts: Mapping[PartName, Source],
    tasks: Mapping[str, str],
    record: ReleaseRecord | None,
    listing: Mapping[str, Listed],
    stored: Mapping[str, str] | None = None,
    keep: Collection[str] = (),
    unsettled: Collection[PartName] = (),
    unfinished: bool = False,
) -> Plan:
    """The plan of a deploy.

    | in the tree | in the record | in the bucket      | action | reason                                               |
    | ----------- | ------------- | ------------------ | ------ | ---------------------------------------------------- |
    | any         | any           | any, named by keep | leave  | named in `keep`                                      |
    | no          | no            | a folder's marker  | leave  | the console's marker of a folder                     |
    | yes         | same          | as recorded        | keep   | unchanged                                            |
    | yes         | other         | as recorded        | upload | changed                                              |
    | yes         | no            | no                 | upload | new                                                  |
    | yes         | any           | as in the tree     | adopt  | already there, though no release put it there: an    |
    |             |               |                    |        | interrupted one, or by hand                          |
    | yes         | yes           | no                 | upload | drift: deleted by hand                               |
    | yes         | yes           | otherwise          | upload | drift: changed by hand                               |
    | yes         | no            | otherwise          | upload | drift: put there by hand, with other content         |
    | no          | yes           | as recorded        | delete | removed                                              |
    | no          | yes           | otherwise          | delete | removed; drift: changed by hand                      |
    | no          | no            | yes                | delete | drift: put there by hand                             |
    | no          | yes           | no                 | adopt  | removed, and already gone                            |

    "As recorded" is by ETag, "same" by SHA-256; "as in the tree" is by MD5, which the ETag is unless KMS encrypts, or
    by the SHA-256 that S3 keeps.

    Uploads go level by level (what is read, then what is imported, then what imports), deletions last: whatever is
    pointed at is there before what points at it. `_release.json` is read by the helper, so it is on the lowest level:
    additions to it do not disturb an older helper, while a new helper could not do without them.

    Args:
        environment: Its name.
        wanted: Key → file of the working tree.
        parts: The working tree's parts.
        tasks: Container → task definition ARN of the deployed stack.
        record: The current release, if there is one.
        listing: What is below `dags/` now.
        stored: For the keys that are `unclear`, the SHA-256 that S3 keeps.
        keep: Patterns of keys that are left alone; see `kept.py`.
        unsettled: Parts that MWAA may be pinned to in versions that no release records: an unfinished release may have
            changed them, so they are brought to what they should be whatever the record says.
        unfinished: A release did not end, so what differs from the record may be its doing as well as somebody's.
    """
    recorded = record.files if record else {}
    by = "by hand or by a release that did not end" if unfinished else "by hand"

    def row(key: str) -> Row:
        source, listed = wanted.get(key), listing.get(key)
        if is_kept(key, keep):
            return Row(Action.LEAVE, key, "named in `keep`")
        if source is None:
            return _unwanted(key, recorded.get(key), listed, by)
        return _wanted(source, recorded.get(key), listed, (stored or {}).get(key, ""), by)

    rows = [row(key) for key in sorted({*wanted, *recorded, *listing})]
    return Plan(
        environment=environment,
        base=record.id if record else None,
        rows=_in_order(rows, recorded),
        parts=tuple(
            replace(row, unsettled=row.name in unsettled)
            for row in _part_rows(wanted_parts(parts, record, unsettled), record.parts if record else {}, unsettled)
        ),
        tasks=tuple(_task_rows(tasks, record.tasks if record else {})),
    )


def unclear(
    wanted: Mapping[str, Source],
    record: ReleaseRecord | None,
    listing: Mapping[str, Listed],
    keep: Collection[str] = (),
) -> list[str]:
    """Keys of which the listing does not say whether they hold what the tree wants: only their sizes agree.

    There are such after a release that did not end, where KMS encrypts, and after edits by hand; else none.
    """
    recorded = record.files if record else {}
    return [
        key
        for key, source in wanted.items()
        if (listed := listing.get(key)) is not None
        and listed.size == source.size
        and listed.etag not in (source.md5, recorded[key].etag if key in recorded else None)
        and not is_kept(key, keep)
    ]


def wanted_parts(
    parts: Mapping[PartName, Source], record: ReleaseRecord | None, unsettled: Collection[PartName] = ()
) -> dict[PartName, Source]:
    """The tree's parts, and an empty one for each that a release once had, or may have had."""
    once = {*(record.parts if record else ()), *unsettled}
    return {**{name: empty_part(name) for name in PARTS if name in once}, **parts}


def empty_part(name: PartName) -> Source:
    """What MWAA is pointed at when there is no such part."""
    return generated(PART_KEYS[name], EMPTY_PARTS[name])


def _wanted(source: Source, recorded: FileRecord | None, listed: Listed | None, stored: str, by: str) -> Row:
    key, level = source.key, source.level
    expected = listed.etag if listed else ABSENT
    as_recorded = recorded is not None and listed is not None and listed.etag == recorded.etag
    if as_recorded and recorded is not None and recorded.sha256 == source.sha256:
        return Row(Action.KEEP, key, "unchanged")
    if as_recorded:
        return Row(Action.UPLOAD, key, "changed", level, expected=expected)
    if listed is None and recorded is None:
        return Row(Action.UPLOAD, key, "new", level)
    if listed is not None and (listed.etag == source.md5 or stored == source.sha256):
        return Row(Action.ADOPT, key, "already there", level, expected=expected)
    if listed is None:
        reason = f"deleted {by} since the last release"
    elif recorded is not None:
        reason = f"changed {by} since the last release"
    else:
        reason = f"put there {by}, with other content"
    return Row(Action.UPLOAD, key, reason, level, drift=True, expected=expected)


def _unwanted(key: str, recorded: FileRecord | None, listed: Listed | None, by: str) -> Row:
    if listed is None:
        return Row(Action.ADOPT, key, "removed, and already gone")
    if recorded is None and key.endswith("/") and listed.size == 0:
        return Row(Action.LEAVE, key, "the console's marker of a folder")
    if recorded is None:
        return Row(Action.DELETE, key, f"put there {by}, and not in this commit", drift=True, expected=listed.etag)
    if listed.etag == recorded.etag:
        return Row(Action.DELETE, key, "removed", expected=listed.etag)
    return Row(Action.DELETE, key, f"removed; it had been changed {by}", drift=True, expected=listed.etag)


def _in_order(rows: Collection[Row], recorded: Mapping[str, FileRecord]) -> tuple[Row, ...]:
    """By phase and key; deletions in a phase after all others, what imports before what is imported.

    A thousand deletions are one request, so of more than that a helper must not be in an earlier one than its DAG. A
    stranger may import anything.
    """
    deleted = [row for row in rows if row.action is Action.DELETE]
    others = [row for row in rows if row.action is not Action.DELETE]
    last = 1 + max((row.phase for row in others), default=0)
    others.sort(key=lambda row: (row.phase, row.key != RELEASE_FILE, row.key))
    deleted.sort(key=lambda row: (row.key in recorded, -recorded[row.key].level if row.key in recorded else 0, row.key))
    return (*others, *(replace(row, phase=last) for row in deleted))


def _part_rows(
    wanted: Mapping[PartName, Source], recorded: Mapping[PartName, PartRecord], unsettled: Collection[PartName]
) -> Iterator[PartRow]:
    for name in PARTS:
        if name not in wanted:
            continue
        before = recorded.get(name)
        if before is None:
            left = wanted[name].content == EMPTY_PARTS[name]
            yield PartRow(Action.UPLOAD, name, "an unfinished release may have brought one" if left else "new")
        elif before.sha256 == wanted[name].sha256 and name in unsettled:
            yield PartRow(Action.RESTORE, name, "an unfinished release may have changed it", version=before.version)
        elif before.sha256 == wanted[name].sha256:
            yield PartRow(Action.KEEP, name, "unchanged")
        elif wanted[name].content == EMPTY_PARTS[name]:
            yield PartRow(Action.UPLOAD, name, "removed: MWAA cannot forget it, so an empty one takes its place")
        else:
            yield PartRow(Action.UPLOAD, name, "changed")


def _task_rows(deployed: Mapping[str, str], recorded: Mapping[str, TaskRecord]) -> Iterator[TaskRow]:
    for container in sorted({*deployed, *recorded}):
        before = recorded[container].task_definition if container in recorded else None
        after = deployed.get(container)
        if before != after:
            yield TaskRow(container, before, after)
