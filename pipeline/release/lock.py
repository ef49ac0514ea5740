"""Taking the right to change an environment, keeping it, and letting it go. The state is `releases/current.json`."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from pipeline.errors import LockedError, PipelineError
from pipeline.release.bucket import ABSENT, Bucket, ConflictError, UnversionedError
from pipeline.release.pointer import POINTER_KEY, Lock, Pointer, expired, parse_pointer
from pipeline.release.record import PARTS, PartName


@dataclass(frozen=True)
class Seen:
    """The pointer as it was read: the state a plan is made from.

    Attributes:
        etag: What the object must still be when the lock is taken; `ABSENT` before the first release.
        dead: There is a lock, and its owner has been silent for longer than the lock lasts.
        age: How long ago the pointer was written, by S3's own times.
    """

    pointer: Pointer
    etag: str
    dead: bool = False
    age: timedelta = field(default=timedelta(), compare=False)


class StalePlanError(PipelineError):
    """Another release became current between planning and locking: plan again."""


def read(bucket: Bucket) -> Seen:
    """The pointer as it is now.

    Raises:
        PipelineError: It cannot be read.
    """
    stored = bucket.get(POINTER_KEY)
    if stored is None:
        return Seen(Pointer(release=None), ABSENT)
    pointer = parse_pointer(stored.content, where=f"s3://{bucket.name}/{POINTER_KEY}")
    dead = pointer.lock is not None and expired(pointer.lock, written=stored.modified, now=stored.now)
    return Seen(pointer, stored.etag, dead, age=stored.now - stored.modified)


class Lease:
    """The lock while it is ours. Not safe for threads: only the thread that took it may touch it."""

    def __init__(self, bucket: Bucket, pointer: Pointer, etag: str) -> None:
        self._bucket = bucket
        self._pointer = pointer
        self._etag = etag
        self._written = monotonic()
        self._done = False

    def still_ours(self) -> None:
        """Renew the lock when a third of its time has passed; to be called often while work goes on.

        Raises:
            LockedError: Someone took it over, because we were silent for too long.
        """
        lock = self._pointer.lock
        if lock is not None and monotonic() - self._written > lock.seconds / 3:
            self.renew()

    def renew(self) -> None:
        """Renew the lock now, and so be sure of it: before what cannot be made conditional on it, and takes long.

        Raises:
            LockedError: Someone took it over.
        """
        self._write(replace(self._pointer, serial=self._pointer.serial + 1))

    def switch(self, release: str) -> None:
        """Make a release the current one, and let the lock go in the same write."""
        self._write(Pointer(release=release, serial=self._pointer.serial + 1))
        self._done = True

    def switch_back(self, release: str) -> None:
        """As `switch`, to the record of a restoration: Airflow may still show errors of what was taken back."""
        self._write(Pointer(release=release, serial=self._pointer.serial + 1, failing=self._pointer.failing))
        self._done = True

    def published(self, restores: str | None) -> None:
        """Note, for the next write, that the bucket is no mix of an unfinished rollback's any more.

        Args:
            restores: For a rollback, the deploy whose files it holds now.
        """
        self._pointer = replace(self._pointer, restores=restores)

    def taken_back(self) -> None:
        """Note, for the next write, that the environment is again as the current release says."""
        self._pointer = replace(self._pointer, restores=None, unsettled=(), unfinished=False)

    def let_go(self) -> None:
        """Let the lock go and leave the current release as it was. Does nothing after `switch`.

        What is left unfinished stays in the pointer: the next one's plan must know of it.
        """
        if not self._done:
            self._write(replace(self._pointer, serial=self._pointer.serial + 1, lock=None))
            self._done = True

    def _write(self, pointer: Pointer) -> None:
        content = pointer.dump()
        try:
            written = self._bucket.put(POINTER_KEY, content, hashlib.sha256(content).hexdigest(), expected=self._etag)
        except ConflictError:
            self._done = True
            raise LockedError(
                "the release lock was taken over while this command was silent for too long; it stopped at once",
                where=f"s3://{self._bucket.name}/{POINTER_KEY}",
                mend="Look at `pipeline releases`, then run the command again.",
            ) from None
        self._pointer, self._etag, self._written = pointer, written.etag, monotonic()


@contextmanager
def hold(
    bucket: Bucket,
    seen: Seen,
    *,
    owner: str,
    purpose: str,
    seconds: int,
    restores: str | None = None,
    parts: Collection[PartName] = (),
    failing: Collection[str] | None = None,
) -> Iterator[Lease]:
    """Hold the lock for the length of a block; it is let go at the end in any case.

    Args:
        bucket: The environment's bucket.
        seen: The state the plan was made from.
        owner: For people: who this is.
        purpose: For people: what this does.
        seconds: How long after our last sign of life others may take over.
        restores: For a rollback, the deploy that is being restored.
        parts: Parts that are to be changed. They are unsettled from here on, so that a command that dies right after
            MWAA began to use them costs no request more.
        failing: Files that Airflow cannot import before anything is done; see `Pointer.failing`.

    Raises:
        LockedError: Someone else holds it, who is named.
        StalePlanError: The state is no longer the one the plan was made from.
    """
    lock = Lock(
        owner=owner,
        token=secrets.token_hex(8),
        purpose=purpose,
        since=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        seconds=seconds,
    )
    pointer = replace(
        seen.pointer,
        serial=seen.pointer.serial + 1,
        lock=lock,
        restores=restores or seen.pointer.restores,
        unsettled=tuple(name for name in PARTS if name in parts or name in seen.pointer.unsettled),
        unfinished=True,
        failing=None if failing is None else tuple(sorted(failing)),
    )
    lease = _take(bucket, seen, pointer)
    try:
        yield lease
    except BaseException as first:
        try:
            lease.let_go()
        except PipelineError as second:
            first.add_note(
                f"The lock could not be let go ({second.what}); it expires {seconds} s after the last renewal."
            )
        raise
    lease.let_go()


def _take(bucket: Bucket, seen: Seen, pointer: Pointer) -> Lease:
    refuse_if_locked(bucket, seen)
    content = pointer.dump()
    try:
        written = bucket.put(POINTER_KEY, content, hashlib.sha256(content).hexdigest(), expected=seen.etag)
    except UnversionedError as error:
        with suppress(UnversionedError):
            Lease(bucket, pointer, error.etag).let_go()
        raise
    except ConflictError:
        refuse_if_locked(bucket, read(bucket))
        raise StalePlanError(
            "another release was made while this one was being planned",
            where=f"s3://{bucket.name}/{POINTER_KEY}",
            mend="Run the command again.",
        ) from None
    return Lease(bucket, pointer, written.etag)


def refuse_if_locked(bucket: Bucket, seen: Seen) -> None:
    """Nothing, unless someone alive holds the lock.

    Raises:
        LockedError: Says who, for what, since when, and when it would expire.
    """
    lock = seen.pointer.lock
    if lock is None or seen.dead:
        return
    raise LockedError(
        f"{lock.owner} holds the release lock since {lock.since} (for a {lock.purpose})",
        where=f"s3://{bucket.name}/{POINTER_KEY}",
        mend=f"Wait for it to end. If it died, its lock is free {lock.seconds} s after its last sign of life.",
    )
