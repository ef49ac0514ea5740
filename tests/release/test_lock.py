"""The lock against moto's S3."""

from datetime import timedelta
from hashlib import sha256
from typing import BinaryIO

import pytest

from pipeline.errors import LockedError, PipelineError
from pipeline.release.bucket import Stored, Written
from pipeline.release.lock import StalePlanError, hold, read
from pipeline.release.pointer import POINTER_KEY
from pipeline.release.s3 import S3Bucket


def test_switching_makes_a_release_current_and_lets_the_lock_go(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        assert read(bucket).pointer.lock is not None
        lease.switch("release-1")
    seen = read(bucket)
    assert (seen.pointer.release, seen.pointer.lock) == ("release-1", None)


def test_a_failure_lets_the_lock_go_and_keeps_the_release(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        lease.switch("release-1")
    with (
        pytest.raises(RuntimeError, match="first error"),
        hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60),
    ):
        raise RuntimeError("the first error")
    seen = read(bucket)
    assert (seen.pointer.release, seen.pointer.lock) == ("release-1", None)


def test_what_is_unfinished_is_known_from_the_start_until_a_release_is_complete(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="rollback", seconds=60, restores="r-0", parts=["startup"]):
        pointer = read(bucket).pointer
        assert (pointer.restores, pointer.unsettled) == ("r-0", ("startup",)), "also for whoever finds us dead"
    with hold(bucket, read(bucket), owner="bob", purpose="sync", seconds=60, parts=["plugins"]):
        pass  # it failed as well
    pointer = read(bucket).pointer
    assert (pointer.lock, pointer.restores, pointer.unsettled) == (None, "r-0", ("plugins", "startup"))
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        lease.switch("release-1")
    pointer = read(bucket).pointer
    assert (pointer.restores, pointer.unsettled) == (None, ())


def test_what_was_taken_back_is_not_unfinished(bucket: S3Bucket) -> None:
    with hold(
        bucket, read(bucket), owner="ann", purpose="sync", seconds=60, restores="r-0", parts=["startup"]
    ) as lease:
        lease.taken_back()
    pointer = read(bucket).pointer
    assert (pointer.lock, pointer.restores, pointer.unsettled) == (None, None, ())


def test_the_second_is_told_who_holds_the_lock_since_when(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann@laptop", purpose="rollback", seconds=60):
        with pytest.raises(LockedError) as error, hold(bucket, read(bucket), owner="bob", purpose="sync", seconds=60):
            pass
        held = read(bucket).pointer.lock
        assert held is not None
        assert error.value.exit_code == 3
        assert f"ann@laptop holds the release lock since {held.since} (for a rollback)" in error.value.what


def test_of_two_who_saw_a_free_lock_one_wins(bucket: S3Bucket) -> None:
    seen = read(bucket)
    with (
        hold(bucket, seen, owner="ann", purpose="sync", seconds=60),
        pytest.raises(LockedError, match="ann holds"),
        hold(bucket, seen, owner="bob", purpose="sync", seconds=60),
    ):
        pass


def test_a_plan_from_before_another_release_is_refused(bucket: S3Bucket) -> None:
    seen = read(bucket)
    with hold(bucket, seen, owner="ann", purpose="sync", seconds=60) as lease:
        lease.switch("release-1")
    with pytest.raises(StalePlanError), hold(bucket, seen, owner="bob", purpose="sync", seconds=60):
        pass


def test_a_plan_from_before_another_s_failed_release_is_refused_too(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        lease.switch("release-1")
    seen = read(bucket)
    with hold(bucket, seen, owner="ann", purpose="sync", seconds=60):
        pass  # files were written, then it failed: the pointer names the same release, unlocked, as before
    with pytest.raises(StalePlanError), hold(bucket, seen, owner="bob", purpose="sync", seconds=60):
        pass


def test_a_dead_owner_s_lock_is_taken_over_and_the_owner_notices(bucket: S3Bucket) -> None:
    later = SilentBucket(bucket)
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=0) as anns:
        with hold(later, read(later), owner="bob", purpose="sync", seconds=60) as bobs:
            with pytest.raises(LockedError, match="taken over"):
                anns.still_ours()
            bobs.switch("bob's release")
        with pytest.raises(LockedError, match="taken over"):
            anns.switch("ann's release")
    assert read(bucket).pointer.release == "bob's release"


def test_renewing_keeps_the_lock(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=0) as lease:
        before = read(bucket)
        lease.still_ours()
        after = read(bucket)
        assert before.etag != after.etag, "else a take-over planned from the old state would succeed"
        assert after.pointer.lock == before.pointer.lock
        lease.switch("release-1")
    assert read(bucket).pointer.release == "release-1"


def test_a_fresh_lock_can_be_made_sure_of(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        before = read(bucket)
        lease.renew()
        assert read(bucket).etag != before.etag
        bucket.put(POINTER_KEY, b"somebody's", sha256(b"somebody's").hexdigest())
        lease.still_ours()
        with pytest.raises(LockedError, match="taken over"):
            lease.renew()


def test_what_failed_before_is_known_until_a_release_is_complete(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60, failing=["b.py", "a.py"]) as lease:
        assert read(bucket).pointer.failing == ("a.py", "b.py"), "also for whoever finds us dead"
        lease.taken_back()
    assert read(bucket).pointer.failing == ("a.py", "b.py")
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60, failing=["b.py"]) as lease:
        lease.taken_back()
        lease.switch_back("restored-1")
    pointer = read(bucket).pointer
    assert (pointer.release, pointer.lock, pointer.failing) == ("restored-1", None, ("b.py",))
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60, failing=[]) as lease:
        lease.switch("release-1")
    assert read(bucket).pointer.failing is None


def test_how_old_the_pointer_is_is_told_by_s3_s_clock(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60):
        pass
    assert read(bucket).age < timedelta(minutes=30) < read(SilentBucket(bucket)).age


def test_a_fresh_lock_is_not_renewed(bucket: S3Bucket) -> None:
    with hold(bucket, read(bucket), owner="ann", purpose="sync", seconds=60) as lease:
        before = read(bucket)
        lease.still_ours()
        assert read(bucket) == before


def test_a_lock_that_cannot_be_let_go_does_not_hide_the_first_error(bucket: S3Bucket) -> None:
    broken = BrokenBucket(bucket)

    def fail() -> None:
        with hold(broken, read(bucket), owner="ann", purpose="sync", seconds=60):
            broken.broken = True
            raise RuntimeError("the first error")

    with pytest.raises(RuntimeError, match="first error") as error:
        fail()
    assert "could not be let go" in error.value.__notes__[0]


class SilentBucket(S3Bucket):
    """A bucket as seen an hour later."""

    def __init__(self, real: S3Bucket) -> None:
        self.__dict__ |= real.__dict__

    def get(self, key: str, version: str | None = None) -> Stored | None:
        stored = super().get(key, version)
        assert stored is not None
        return Stored(stored.content, stored.etag, stored.modified, stored.now + timedelta(hours=1))


class BrokenBucket(S3Bucket):
    """A bucket that may refuse writes."""

    broken = False

    def __init__(self, real: S3Bucket) -> None:
        self.__dict__ |= real.__dict__

    def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = None) -> Written:
        if self.broken:
            raise PipelineError("S3 is gone")
        return super().put(key, content, sha256, expected=expected)
