"""The registry's scan: how long it is waited for, what is said of it, and which images are judged."""

import io
from collections.abc import Callable, Iterator
from functools import partial

import boto3
import pytest
from botocore.model import StringShape

from pipeline.errors import PipelineError
from pipeline.images.checks.finding import Finding
from pipeline.images.checks.scan import ENDED, NEVER, UNDER_WAY, BusyError, Scan, Scanned, grace, scans, verdict
from pipeline.images.inputs import Inputs
from pipeline.images.outcome import Built, Failed, Outcome
from pipeline.images.plan import Image, UpToDate
from pipeline.images.progress import Lines
from pipeline.images.scanning import scan_findings
from pipeline.settings import Images, Policy, Severity
from tests.images.fakes import MemoryScanner

ONE = Inputs(("linux/amd64",))
BOTH = Inputs(("linux/amd64", "linux/arm64"))
CRITICAL = Scan("COMPLETE", {"CRITICAL": 1})


def wait(answers: Iterator[str], seconds: float = 60, patience: float = 4) -> tuple[str, int]:
    asked = 0

    def ask(_image: Scanned) -> Scan:
        nonlocal asked
        asked += 1
        return Scan(next(answers))

    image = Scanned("x", "sha256:1", grace=patience)
    return scans([image], ask, seconds, pause=lambda _seconds: None)[image].status, asked


def asked_of(scanner: MemoryScanner, image: Scanned) -> Scan:
    return scanner.scan(image.name, image.digest)


def test_a_scan_is_waited_for_until_it_is_complete() -> None:
    assert wait(iter(["", "PENDING", "IN_PROGRESS", "COMPLETE"])) == ("COMPLETE", 4)


def test_a_scan_that_fails_is_an_end_too() -> None:
    assert wait(iter(["UNSUPPORTED_IMAGE"])) == ("UNSUPPORTED_IMAGE", 1)


def test_a_registry_that_never_speaks_of_a_scan_is_not_waited_for() -> None:
    status, _ = wait(iter(lambda: "", None), patience=0.05)
    assert status == ""
    assert wait(iter([""]), patience=0) == ("", 1)


def test_a_scan_that_takes_too_long_is_left_alone() -> None:
    status, _ = wait(iter(lambda: "IN_PROGRESS", ""), seconds=0.05)
    assert status == "IN_PROGRESS"


def test_with_no_patience_it_is_asked_once() -> None:
    assert wait(iter(["PENDING"]), seconds=0) == ("PENDING", 1)


@pytest.mark.parametrize("status", ENDED)
@pytest.mark.parametrize(("patience", "asked"), [(4, 2), (60, 2), (0, 1)])
def test_an_enhanced_scan_is_waited_for_until_it_has_a_result_where_one_is_awaited(
    status: str, patience: float, asked: int
) -> None:
    scanner = MemoryScanner({"sha256:1": [Scan(status, result=False), Scan(status, {"CRITICAL": 1})]})
    image = Scanned("x", "sha256:1", grace=patience)
    found = scans([image], partial(asked_of, scanner), 60, pause=lambda _seconds: None)[image]
    assert len(scanner.asked) == asked
    assert (found.severities == {"CRITICAL": 1}) is (asked == 2)


def test_a_registry_that_is_busy_is_asked_again_and_one_that_refuses_is_not() -> None:
    for error, asked in ((BusyError("Rate exceeded"), 2), (PipelineError("AccessDenied"), 1)):
        scanner = MemoryScanner({"sha256:1": [error, CRITICAL]})
        scans([Scanned("x", "sha256:1")], partial(asked_of, scanner), 60, pause=lambda _seconds: None)
        assert len(scanner.asked) == asked


@pytest.mark.parametrize("policy", ["warn", "deny"])
def test_an_image_that_was_just_pushed_is_judged_by_the_result_and_not_by_the_word_before_it(policy: Policy) -> None:
    scanner = MemoryScanner({"sha256:1": [Scan("COMPLETE", result=False), CRITICAL]})
    (finding,) = judged(scanner, BUILT, policy=policy, seconds=60)["x"]
    assert (finding.what, finding.denied) == ("the registry's scan found 1 CRITICAL", policy == "deny")


@pytest.mark.parametrize(
    ("policy", "pushed_now", "seconds"), [("warn", True, 4), ("warn", False, 0), ("deny", True, 60), ("deny", False, 4)]
)
def test_the_first_sign_of_a_scan_is_waited_for_as_the_table_says(
    policy: Policy, pushed_now: bool, seconds: float
) -> None:
    assert grace(policy, 60, pushed_now=pushed_now) == seconds
    assert grace(policy, 0, pushed_now=pushed_now) == 0


FOUND = {"CRITICAL": 2, "HIGH": 1, "MEDIUM": 3, "LOW": 9}
# scan, the least severity that counts, what is said under `warn` and under `deny`, whether the latter denies
ROWS: list[tuple[Scan, Severity, str, str, bool]] = [
    (Scan("COMPLETE"), "LOW", "", "", False),
    (Scan("COMPLETE", FOUND), "HIGH", "found 2 CRITICAL, 1 HIGH", "found 2 CRITICAL, 1 HIGH", True),
    (Scan("ACTIVE", {"MEDIUM": 3}), "HIGH", "", "", False),
    (Scan("ACTIVE", {"MEDIUM": 3}), "MEDIUM", "found 3 MEDIUM", "found 3 MEDIUM", True),
    (Scan("COMPLETE", result=False), "HIGH", "", "told no result within 60 s: COMPLETE", False),
    (Scan("ACTIVE", result=False), "HIGH", "", "told no result within 60 s: ACTIVE", False),
    (Scan("BUSY", {}, "Rate exceeded"), "HIGH", "does not say", "what its scan found: Rate exceeded", True),
    (Scan("IN_PROGRESS"), "HIGH", "did not end within 60 s", "did not end within 60 s: IN_PROGRESS", True),
    (Scan("FAILED", {}, "too odd"), "HIGH", "has no result: FAILED: too odd", "has no result: FAILED: too odd", True),
    (Scan("FINDINGS_UNAVAILABLE"), "HIGH", "has no result", "has no result: FINDINGS_UNAVAILABLE", True),
    (Scan("UNREAD", {}, "denied"), "HIGH", "does not say", "does not say what its scan found: denied", True),
    (Scan("UNSUPPORTED_IMAGE"), "HIGH", "", "does not scan this image: UNSUPPORTED_IMAGE", True),
    (Scan("SCAN_ELIGIBILITY_EXPIRED"), "HIGH", "", "does not scan this image: SCAN_ELIGIBILITY_EXPIRED", True),
    (Scan("LIMIT_EXCEEDED"), "HIGH", "has no result", "has no result: LIMIT_EXCEEDED", True),
    (Scan(), "HIGH", "", "has not scanned this image", True),
]


@pytest.mark.parametrize(("scan", "least", "warned", "said", "denied"), ROWS)
def test_what_is_said_of_a_scan_is_what_the_table_says(
    scan: Scan, least: Severity, warned: str, said: str, denied: bool
) -> None:
    for policy, words, denies in (("warn", warned, False), ("deny", said, denied)):
        what, found = verdict(scan, least, policy, 60)  # type: ignore[arg-type]  # one of two policies
        assert (words in what, bool(what), found) == (True, bool(words), denies)


def test_every_status_that_ecr_knows_is_judged() -> None:
    shape = boto3.Session("a", "b", region_name="eu-west-1").client("ecr").meta.service_model.shape_for("ScanStatus")
    assert isinstance(shape, StringShape)
    known = set(shape.enum)
    assert known >= {*UNDER_WAY, *ENDED, *NEVER}
    unscanned = [status for status in known if not verdict(Scan(status), "LOW", "deny", 60)[1]]
    assert sorted(unscanned) == ["ACTIVE", "COMPLETE"]


@pytest.mark.parametrize(
    ("scan", "mend"),
    [
        (Scan(), "scan on push"),
        (Scan("UNSUPPORTED_IMAGE"), "`warn`"),
        (Scan("IMAGE_SIZE_EXCEEDED"), "smaller"),
        (Scan("SCAN_ELIGIBILITY_EXPIRED"), "rescan duration"),
        (Scan("IMAGE_ARCHIVED"), "update-image-storage-class"),
        (Scan("IN_PROGRESS"), "scan_seconds"),
        (CRITICAL, "newer base image"),
        (Scan("UNREAD", mend="Ask for the right."), "Ask for the right."),
        (Scan("BUSY"), "Run the command again"),
    ],
)
def test_what_is_missing_is_told_with_its_own_mend(scan: Scan, mend: str) -> None:
    (finding,) = judged(MemoryScanner({"sha256:1": [scan]}), THERE)["x"]
    assert finding.denied
    assert mend in finding.mend


def judged(
    scanner: MemoryScanner, *outcomes: Outcome, policy: str = "deny", inputs: Inputs = ONE, seconds: float = 0.01
) -> dict[str, tuple[Finding, ...]]:
    configured = Images.model_validate({"checks": {"scan": policy}, "scan_seconds": seconds})
    of = {each.name: inputs for each in outcomes}
    return scan_findings(outcomes, of, scanner, configured, Lines(io.StringIO(), of))


BUILT = Built("x", "t", "new container", Image("sha256:1", 1), 1)
THERE = UpToDate("x", "t", Image("sha256:1", 1))
FAILED = Failed("x", "t", "new container", PipelineError("no"), 1)


@pytest.mark.parametrize("outcome", [BUILT, THERE], ids=["just built", "up to date"])
def test_an_image_that_was_there_is_judged_like_one_that_was_just_built(outcome: Outcome) -> None:
    (finding,) = judged(MemoryScanner({"sha256:1": [CRITICAL]}), outcome)["x"]
    assert (finding.where, finding.denied) == ("x", True)
    assert finding.what == "the registry's scan found 1 CRITICAL"


@pytest.mark.parametrize("outcome", [BUILT, THERE], ids=["just built", "up to date"])
def test_a_scan_that_does_not_end_denies_whoever_asks_again(outcome: Outcome) -> None:
    (finding,) = judged(MemoryScanner({"sha256:1": [Scan("IN_PROGRESS")]}), outcome)["x"]
    assert finding.denied


def test_each_platforms_image_is_judged_since_an_index_has_no_scan() -> None:
    scanner = MemoryScanner(
        {"sha256:a": [Scan("COMPLETE")], "sha256:b": [CRITICAL]},
        {"sha256:1": {"linux/amd64": "sha256:a", "linux/arm64": "sha256:b"}},
    )
    (finding,) = judged(scanner, THERE, inputs=BOTH)["x"]
    assert finding.where == "x (linux/arm64)"


def test_an_image_that_does_not_exist_is_not_asked_for_and_a_check_that_is_off_asks_nothing() -> None:
    scanner = MemoryScanner({"sha256:1": [CRITICAL]})
    assert judged(scanner, FAILED) == {}
    assert judged(scanner, BUILT, policy="off") == {}
    assert scanner.asked == []


@pytest.mark.parametrize(
    "make",
    [
        lambda error: (MemoryScanner({"sha256:1": [error]}), ONE),
        lambda error: (MemoryScanner({}, {"sha256:1": error}), BOTH),
    ],
    ids=["scan", "parts"],
)
def test_a_registry_that_does_not_say_is_a_finding_and_no_end_of_the_build(
    make: Callable[[PipelineError], tuple[MemoryScanner, Inputs]],
) -> None:
    for policy, denied in (("warn", False), ("deny", True)):
        scanner, inputs = make(PipelineError("the registry refuses: AccessDenied", mend="Ask for the right."))
        (finding,) = judged(scanner, THERE, policy=policy, inputs=inputs)["x"]
        assert finding.mend == "Ask for the right."
        assert finding.what.endswith("the registry refuses: AccessDenied")
        assert finding.denied is denied
