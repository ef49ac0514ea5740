"""The state of an environment that a plan is made from: who is releasing, what is current, what is in the bucket."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.release import lock, record
from pipeline.release.bucket import Bucket, Listed
from pipeline.release.record import ReleaseRecord
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
        current = read_record(bucket, seen.pointer.release) if seen.pointer.release else None
        return Situation(seen, current, listing.result())


def read_record(bucket: Bucket, release: str) -> ReleaseRecord:
    """The record of a release.

    Raises:
        PipelineError: There is none, or it cannot be understood.
    """
    key = record.key_of(release)
    where = f"s3://{bucket.name}/{key}"
    stored = bucket.get(key)
    if stored is None:
        raise PipelineError(
            "there is no such release", where=where, mend="`pipeline releases ENVIRONMENT` lists those there are."
        )
    return record.parse(stored.content, where=where)


def history(bucket: Bucket, limit: int) -> list[ReleaseRecord]:
    """The latest releases, newest first."""
    keys = [key for key in bucket.listing(record.RELEASES_PREFIX) if record.is_key(key)]
    ids = [record.id_of(key) for key in sorted(keys, reverse=True)[:limit]]
    return [read_record(bucket, release) for release in ids]
