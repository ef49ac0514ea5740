"""Histories as people read them."""

from pipeline.release.show import history_lines
from tests.release.values import FIRST, SECOND, release


def test_a_release_of_files_that_nobody_committed_says_so() -> None:
    rolled_back = release(id=SECOND, kind="rollback", restores=FIRST, uncommitted=True, verified=True)
    lines = list(history_lines([rolled_back, release(uncommitted=True), release()], SECOND))
    assert lines == [
        f"* {SECOND}  c0ffee1     rollback to {FIRST} with uncommitted changes, verified, 0 files, by ann@laptop",
        f"  {FIRST}  c0ffee1     deploy with uncommitted changes, not verified, 0 files, by ann@laptop",
        f"  {FIRST}  c0ffee1     deploy, not verified, 0 files, by ann@laptop",
    ]
