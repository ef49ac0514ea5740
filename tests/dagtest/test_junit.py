from xml.etree import ElementTree as ET

from pipeline.dagtest.junit import report
from pipeline.dagtest.rules import Problem, Verdict

VERDICTS = (
    Verdict("dags/a.py", "imports", seconds=0.25),
    Verdict("dags/a.py", "container-exists", (Problem("no container 'x'", "Correct it.", 5, "a", "load.x", "more"),)),
    Verdict("dags/a.py", "off-workers", (Problem("it works", "Do not.", 6),), level="warn"),
    Verdict("dags/b.py", "templates-render", skipped="the file holds no DAG"),
)


def suite_of(*verdicts: Verdict) -> ET.Element:
    return ET.fromstring(report(verdicts, "dags"))[0]  # noqa: S314 - written a moment ago


def test_there_is_a_case_for_each_file_and_rule_and_the_counts_are_right() -> None:
    suite = suite_of(*VERDICTS)
    assert [(case.get("classname"), case.get("name")) for case in suite] == [(v.path, v.rule) for v in VERDICTS]
    counts = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")}
    assert counts == {"name": "dags", "tests": "4", "failures": "1", "errors": "0", "skipped": "2", "time": "0.250"}


def test_a_failure_says_where_what_and_how_to_mend_it() -> None:
    case = suite_of(*VERDICTS)[1]
    failure = case[0]
    assert (case.get("file"), case.get("line"), failure.get("type")) == ("dags/a.py", "5", "container-exists")
    assert failure.get("message") == "dags/a.py:5: a.load.x: no container 'x'. Correct it."
    assert failure.text == "dags/a.py:5: a.load.x: no container 'x'\nCorrect it.\nmore"


def test_a_warning_is_seen_and_does_not_fail() -> None:
    case = suite_of(*VERDICTS)[2]
    assert [element.tag for element in case] == ["skipped"]
    assert case[0].get("message") == "warning: dags/a.py:6: it works. Do not."


def test_what_xml_cannot_hold_is_replaced_and_the_rest_survives() -> None:
    odd = Problem("a\x00b\x1b[31m <&> ü 🙂 \ud800", "m")
    failure = suite_of(Verdict("dags/a.py", "imports", (odd,)))[0][0]
    assert failure.get("message") == "dags/a.py: a?b <&> ü 🙂 ?. m"


def test_a_report_of_nothing_is_still_a_report() -> None:
    suite = suite_of()
    assert suite.get("tests") == "0"
