"""Waiting for the registry's scan: as long as it is under way, and not when there will be none."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.images.checks.scan import scanned
from pipeline.images.plan import Image

IMAGE = Image("sha256:1", 1)


def wait(answers: Iterator[str], seconds: float = 60, grace: float = 4) -> tuple[str, int]:
    asked = 0

    def ask(_name: str) -> Image:
        nonlocal asked
        asked += 1
        return replace(IMAGE, scan=next(answers))

    found = scanned({"x": IMAGE}, ask, seconds, grace=grace, pause=lambda _seconds: None)
    return found["x"].scan, asked


def test_a_scan_is_waited_for_until_it_is_complete() -> None:
    assert wait(iter(["", "PENDING", "IN_PROGRESS", "COMPLETE"])) == ("COMPLETE", 4)


def test_a_scan_that_fails_is_an_end_too() -> None:
    assert wait(iter(["UNSUPPORTED_IMAGE"])) == ("UNSUPPORTED_IMAGE", 1)


def test_a_registry_that_never_speaks_of_a_scan_is_not_waited_for() -> None:
    status, _ = wait(iter(lambda: "", None), grace=0.05)
    assert status == ""


def test_a_scan_that_takes_too_long_is_left_alone() -> None:
    status, _ = wait(iter(lambda: "IN_PROGRESS", ""), seconds=0.05)
    assert status == "IN_PROGRESS"


def test_with_no_patience_nothing_is_asked() -> None:
    assert wait(iter(()), seconds=0) == ("", 0)


def test_an_image_that_is_gone_meanwhile_keeps_what_was_known() -> None:
    assert scanned({"x": IMAGE}, lambda _name: None, 0.01, pause=lambda _seconds: None) == {"x": IMAGE}
