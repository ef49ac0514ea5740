"""Test and coverage reports, from the files that test tools write.

Sources: JUnit XML as pytest, Jest and Surefire write it; NUnit 3 XML; Cobertura 4 XML. CodeBuild user guide, "Test
reports" for what becomes of them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET

TestStatus = Literal["SUCCEEDED", "FAILED", "ERROR", "SKIPPED", "UNKNOWN"]
STATUSES: Final[tuple[TestStatus, ...]] = ("SUCCEEDED", "FAILED", "ERROR", "SKIPPED", "UNKNOWN")
_NANO: Final = 1_000_000_000
_NUNIT: Final[dict[str, TestStatus]] = {
    "Passed": "SUCCEEDED",
    "Success": "SUCCEEDED",
    "Failed": "FAILED",
    "Failure": "FAILED",
    "Error": "ERROR",
    "Skipped": "SKIPPED",
    "Ignored": "SKIPPED",
    "Inconclusive": "UNKNOWN",
}


class ReportError(ValueError):
    """The file is not a report of its format; the text says why."""


@dataclass(frozen=True)
class TestCase:
    """One test.

    Attributes:
        name: Its name.
        prefix: What holds it: the class or module.
        suite: The test suite.
        status: How it ended.
        nanoseconds: How long it ran.
        message: Why it did not succeed; "" when it did.
    """

    __test__ = False  # it is not a test of ours

    name: str
    prefix: str
    suite: str
    status: TestStatus
    nanoseconds: int
    message: str = ""


@dataclass(frozen=True)
class FileCoverage:
    """How much of a source file the tests ran."""

    path: str
    lines_covered: int
    lines_missed: int
    branches_covered: int
    branches_missed: int


def test_cases(text: bytes, file_format: str) -> list[TestCase]:
    """The tests of a JUNITXML, NUNITXML or NUNIT3XML file.

    Raises:
        ReportError: It is not such a file.
    """
    root = _root(text)
    if file_format == "JUNITXML":
        if root.tag not in ("testsuites", "testsuite"):
            raise ReportError(f"the root element of JUnit XML is testsuites or testsuite, it is {root.tag}")
        suites = [root, *root.iter("testsuite")] if root.tag == "testsuite" else list(root.iter("testsuite"))
        return [_junit(case, suite.get("name", "")) for suite in _once(suites) for case in suite.findall("testcase")]
    if root.tag not in ("test-run", "test-results"):
        raise ReportError(f"the root element of NUnit XML is test-run or test-results, it is {root.tag}")
    return [_nunit(case, root.get("name", "")) for case in root.iter("test-case")]


def coverage(text: bytes) -> list[FileCoverage]:
    """The files of a COBERTURAXML file, by path.

    Raises:
        ReportError: It is not such a file.
    """
    root = _root(text)
    if root.tag != "coverage":
        raise ReportError(f"the root element of Cobertura XML is coverage, it is {root.tag}")
    lines: dict[str, dict[str, ET.Element]] = {}
    for part in root.iter("class"):  # a file of several classes appears once for each
        own = lines.setdefault(part.get("filename", ""), {})
        for line in part.findall("./lines/line"):
            own[line.get("number", "")] = line
    return [_file(path, list(own.values())) for path, own in sorted(lines.items()) if path]


def counts(cases: Iterable[TestCase]) -> dict[str, int]:
    """How many tests ended how; every status is present."""
    counted = Counter(case.status for case in cases)
    return {status: counted[status] for status in STATUSES}


def percentage(covered: int, missed: int) -> float:
    """Covered of all, in percent; nothing to cover counts as all covered, as in CodeBuild."""
    return 100.0 if covered + missed == 0 else round(100.0 * covered / (covered + missed), 2)


def _root(text: bytes) -> ET.Element:
    try:
        return ET.fromstring(text)  # noqa: S314 - a build's own file; expat neither fetches nor expands without end
    except ET.ParseError as error:
        raise ReportError(f"not valid XML: {error}") from None


def _once(suites: list[ET.Element]) -> list[ET.Element]:
    return list({id(suite): suite for suite in suites}.values())


def _junit(case: ET.Element, suite: str) -> TestCase:
    kinds: dict[str, TestStatus] = {"error": "ERROR", "failure": "FAILED", "skipped": "SKIPPED"}
    status: TestStatus = "SUCCEEDED"
    message = ""
    for tag, meaning in kinds.items():
        found = case.find(tag)
        if found is not None:
            status = meaning
            message = "\n".join(part for part in (found.get("message", ""), (found.text or "").strip()) if part)
            break
    return TestCase(
        case.get("name", ""), case.get("classname", ""), suite, status, _nanoseconds(case.get("time")), message
    )


def _nunit(case: ET.Element, suite: str) -> TestCase:
    status = _NUNIT.get(case.get("result", ""), "UNKNOWN")
    parts = [case.findtext(f"{tag}/message", "").strip() for tag in ("failure", "reason")]
    duration = _nanoseconds(case.get("duration") or case.get("time"))
    prefix = case.get("classname") or case.get("fullname", "").rpartition(".")[0]
    return TestCase(case.get("name", ""), prefix, suite, status, duration, "\n".join(filter(None, parts)))


def _nanoseconds(seconds: str | None) -> int:
    try:
        return int(float((seconds or "0").replace(",", "")) * _NANO)
    except ValueError:
        return 0


def _file(path: str, lines: list[ET.Element]) -> FileCoverage:
    covered = sum(1 for line in lines if _number(line.get("hits")) > 0)
    hit = total = 0
    for line in lines:
        # condition-coverage="50% (1/2)"
        _, _, fraction = line.get("condition-coverage", "").partition("(")
        done, slash, all_of_them = fraction.rstrip(")").partition("/")
        if line.get("branch", "").lower() == "true" and slash:
            hit, total = hit + _number(done), total + _number(all_of_them)
    return FileCoverage(path, covered, len(lines) - covered, hit, total - hit)


def _number(text: str | None) -> int:
    try:
        return int(text or "0")
    except ValueError:
        return 0
