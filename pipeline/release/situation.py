"""The state of an environment that a plan is made from: who is releasing, what is current, what is in the bucket."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.release import lock, record
from pipeline.release.bucket import Bucket, Listed
from pipeline.release.kept import is_kept
from pipeline.release.pointer import POINTER_KEY
from pipeline.release.record import ReleaseRecord
from pipeline.release.s3 import PARALLEL
from pipeline.release.tree import DAGS_PREFIX


@dataclass(frozen=True)
class Situation:
    """What was read, in two requests and one for every 1,000 objects.

    Attributes:
        seen: The pointer, which must still be the same when the lock is taken.
        current: The current release; None before the first.
        listing: What is below `dags/`.
    """

    seen: lock.Seen
    current: ReleaseRecord | None
    listing: Mapping[str, Listed]

    def differs(self, keep: Collection[str] = ()) -> bool:
        """Whether the environment is, or may be, not as the current release says; what `keep` names aside."""
        recorded = {key: file.etag for key, file in self.current.files.items()} if self.current else {}
        there = {key: listed.etag for key, listed in self.listing.items() if not is_kept(key, keep)}
        return bool(self.seen.pointer.unsettled) or recorded != there


def read(bucket: Bucket) -> Situation:
    """The environment's state now.

    Raises:
        PipelineError: It cannot be read, or the bucket keeps no versions.
    """
    seen = lock.read(bucket)
    if seen.pointer.release is None and not bucket.keeps_versions():
        raise PipelineError(
            "the bucket keeps no versions, so nothing could be rolled back",
            where=f"s3://{bucket.name}",
            mend="Switch versioning on: MWAA demands it, and the environment's stack does it.",
        )
    # After the pointer, not beside it: a listing older than the pointer would show the release before as hand edits.
    with ThreadPoolExecutor(1) as beside:
        listing = beside.submit(bucket.listing, DAGS_PREFIX)
        current = _record(bucket, seen.pointer.release) if seen.pointer.release else None
        found = Situation(seen, current, listing.result())
    if current is None and seen.pointer.release is not None:
        raise PipelineError(
            f"the current release is {seen.pointer.release}, and its record is gone",
            where=_where(bucket, seen.pointer.release),
            mend=f"Restore its last version, or delete {POINTER_KEY} to publish everything as a first release.",
        )
    return found


def checksums(bucket: Bucket, keys: Sequence[str]) -> dict[str, str]:
    """Key → the SHA-256 of its content, as far as S3 knows it: a request each, side by side."""
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="checksums") as pool:
        found = pool.map(bucket.head, keys)
        return {key: there.sha256 for key, there in zip(keys, found, strict=True) if there is not None}


def read_record(bucket: Bucket, release: str) -> ReleaseRecord:
    """The record of a release.

    Raises:
        PipelineError: There is none, or it cannot be understood.
    """
    found = _record(bucket, release)
    if found is None:
        raise PipelineError(
            "there is no such release",
            where=_where(bucket, release),
            mend="`pipeline releases ENVIRONMENT` lists those there are.",
        )
    return found


def history(bucket: Bucket, newest: str | None, most: int) -> list[ReleaseRecord]:
    """Releases that were current, newest first: each names the one before it, and one request reads it.

    A record that no other names was written by a release that never became current. Where a record is gone, the
    history ends.

    Args:
        bucket: The environment's bucket.
        newest: The current release, None before the first.
        most: How many at most.

    Raises:
        PipelineError: One cannot be understood.
    """
    found: list[ReleaseRecord] = []
    while newest is not None and len(found) < most and (release := _record(bucket, newest)) is not None:
        found.append(release)
        newest = release.previous
    return found


def _record(bucket: Bucket, release: str) -> ReleaseRecord | None:
    stored = bucket.get(record.key_of(release))
    if stored is None:
        return None
    found = record.parse(stored.content, where=_where(bucket, release))
    if found.id != release:
        raise PipelineError(
            f"this is the record of another release, {found.id}",
            where=_where(bucket, release),
            mend="Restore the object's last version.",
        )
    return found


def _where(bucket: Bucket, release: str) -> str:
    return f"s3://{bucket.name}/{record.key_of(release)}"
