import pytest

from pipeline.localaws.codebuild.reports import FileCoverage, ReportError, counts, coverage, percentage
from pipeline.localaws.codebuild.reports import test_cases as cases_of

JUNIT = b"""<?xml version="1.0"?>
<testsuites>
  <testsuite name="pytest">
    <testcase classname="tests.a" name="test_good" time="0.5"/>
    <testcase classname="tests.a" name="test_bad" time="1,000.25"><failure message="assert 1 == 2">long
story</failure></testcase>
    <testcase classname="tests.a" name="test_broken"><error message="fixture failed"/></testcase>
    <testcase classname="tests.a" name="test_left_out"><skipped message="not here"/></testcase>
    <testsuite name="inner"><testcase name="nested" time="?"/></testsuite>
  </testsuite>
</testsuites>"""

NUNIT3 = b"""<test-run name="All"><test-suite>
  <test-case name="Good" classname="N.A" result="Passed" duration="0.25"/>
  <test-case name="Bad" fullname="N.A.Bad" result="Failed"><failure><message>no</message></failure></test-case>
  <test-case name="Odd" result="Whatever"/>
</test-suite></test-run>"""

COBERTURA = b"""<coverage><packages><package><classes>
  <class filename="b.py"><methods/><lines>
    <line number="1" hits="1"/><line number="2" hits="0"/>
    <line number="3" hits="2" branch="true" condition-coverage="50% (1/2)"/></lines></class>
  <class filename="a.py"><lines><line number="1" hits="0"/></lines></class>
  <class filename="b.py"><lines><line number="3" hits="2" branch="true" condition-coverage="50% (1/2)"/></lines></class>
</classes></package></packages></coverage>"""


def test_junit_cases_have_their_status_duration_and_reason() -> None:
    cases = cases_of(JUNIT, "JUNITXML")
    assert [(case.name, case.status, case.nanoseconds, case.message) for case in cases] == [
        ("test_good", "SUCCEEDED", 500_000_000, ""),
        ("test_bad", "FAILED", 1_000_250_000_000, "assert 1 == 2\nlong\nstory"),
        ("test_broken", "ERROR", 0, "fixture failed"),
        ("test_left_out", "SKIPPED", 0, "not here"),
        ("nested", "SUCCEEDED", 0, ""),
    ]
    assert (cases[0].prefix, cases[0].suite, cases[4].suite) == ("tests.a", "pytest", "inner")
    assert counts(cases) == {"SUCCEEDED": 2, "FAILED": 1, "ERROR": 1, "SKIPPED": 1, "UNKNOWN": 0}


def test_a_single_suite_may_be_the_root() -> None:
    assert len(cases_of(b"<testsuite><testcase name='one'/></testsuite>", "JUNITXML")) == 1


def test_nunit_cases_are_read_too() -> None:
    cases = cases_of(NUNIT3, "NUNIT3XML")
    assert [(case.prefix, case.name, case.status, case.message) for case in cases] == [
        ("N.A", "Good", "SUCCEEDED", ""),
        ("N.A", "Bad", "FAILED", "no"),
        ("", "Odd", "UNKNOWN", ""),
    ]
    assert cases[0].nanoseconds == 250_000_000


def test_coverage_counts_each_line_of_a_file_once() -> None:
    assert coverage(COBERTURA) == [FileCoverage("a.py", 0, 1, 0, 0), FileCoverage("b.py", 2, 1, 1, 1)]


def test_a_percentage_of_nothing_is_all() -> None:
    assert (percentage(0, 0), percentage(1, 2), percentage(0, 3)) == (100.0, 33.33, 0.0)


@pytest.mark.parametrize("text", [b"", b"<testsuites>", b"<html/>", b"\x00\xff"])
def test_a_file_that_is_no_report_is_refused(text: bytes) -> None:
    for read in (lambda: cases_of(text, "JUNITXML"), lambda: cases_of(text, "NUNIT3XML"), lambda: coverage(text)):
        with pytest.raises(ReportError):
            read()


def test_a_file_that_would_grow_without_end_is_refused() -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a '" + b"a" * 1000 + b"'>"
    for letter in b"bcdefgh":
        bomb += b"<!ENTITY %c '%s'>" % (letter, b"&%c;" % (letter - 1) * 100)
    with pytest.raises(ReportError):
        cases_of(bomb + b"]><testsuites>&h;</testsuites>", "JUNITXML")
