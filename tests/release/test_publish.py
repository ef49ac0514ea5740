"""Doing a plan's rows against an in-memory bucket that enforces conditions."""

import time
from typing import BinaryIO

import pytest

from pipeline.errors import PipelineError
from pipeline.release import plan
from pipeline.release.bucket import Written
from pipeline.release.publish import publish
from pipeline.release.tree import Source
from tests.release.fakes import FakeBucket
from tests.release.values import source

FILES = {
    f"dags/{name}": source(f"dags/{name}", name, level) for name, level in (("q.sql", 0), ("h.py", 1), ("a.py", 2))
}


def decided(files: dict[str, Source]) -> plan.Plan:
    return plan.decide("dev", wanted=files, parts={}, tasks={}, record=None, listing={})


def test_phases_follow_each_other() -> None:
    bucket = FakeBucket()
    done = publish(bucket, decided(FILES), FILES, lambda: None)
    assert bucket.written == ["dags/q.sql", "dags/h.py", "dags/a.py"]
    assert set(done) == set(FILES)


class Slow(FakeBucket):
    """A bucket that takes its time."""

    def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = None) -> Written:
        time.sleep(0.9)
        return super().put(key, content, sha256, expected=expected)


def test_what_takes_long_says_how_far_it_is() -> None:
    files = {f"dags/{n}.py": source(f"dags/{n}.py", str(n), n) for n in range(5)}
    said: list[str] = []
    publish(Slow(), decided(files), files, lambda: None, said.append)
    assert said == ["4 of 5 files"]


def test_a_lost_lock_stops_before_the_next_phase() -> None:
    bucket = FakeBucket()

    def alive() -> None:
        if bucket.written:
            raise PipelineError("the lock is lost")

    with pytest.raises(PipelineError, match="the lock is lost"):
        publish(bucket, decided(FILES), FILES, alive)
    assert bucket.written == ["dags/q.sql"]


def test_a_failure_waits_for_what_is_under_way_and_begins_nothing_more() -> None:
    class Failing(Slow):
        def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = None) -> Written:
            if key == "dags/0.py":
                raise PipelineError("no")
            return super().put(key, content, sha256, expected=expected)

    files = {f"dags/{n}.py": source(f"dags/{n}.py", str(n)) for n in range(500)}
    bucket = Failing()
    with pytest.raises(PipelineError, match="no"):
        publish(bucket, decided(files), files, lambda: None)
    written = len(bucket.written)
    assert written < 100
    time.sleep(1)
    assert len(bucket.written) == written, "nothing is written after the end"
