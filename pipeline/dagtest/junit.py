"""Verdicts as JUnit XML: a test case for each file and rule, as CodeBuild's report groups read it."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pipeline.dagtest.rules import Problem, Verdict
from pipeline.junit import xml_text


def place(verdict: Verdict, problem: Problem) -> str:
    """`dags/orders.py:12`, or without a line where there is none."""
    return f"{verdict.path}:{problem.line}" if problem.line else verdict.path


def sentence(problem: Problem) -> str:
    """What is wrong, after the DAG and the task it is about."""
    about = ".".join(part for part in (problem.dag, problem.task) if part)
    return f"{about}: {problem.what}" if about else problem.what


def report(verdicts: Sequence[Verdict], name: str) -> bytes:
    """The report. A warning is a skipped case: CodeBuild shows the message of failed and skipped cases only.

    Args:
        verdicts: In the order of the test cases.
        name: The test suite's name.
    """
    suite = ET.Element("testsuite", name=name)
    skipped = 0
    for verdict in verdicts:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=xml_text(verdict.path),
            name=verdict.rule,
            file=xml_text(verdict.path),
            time=f"{verdict.seconds:.3f}",
        )
        if verdict.skipped:
            skipped += 1
            ET.SubElement(case, "skipped", message=xml_text(verdict.skipped))
        elif verdict.problems:
            first = verdict.problems[0]
            if first.line:
                case.set("line", str(first.line))
            message = "; ".join(_short(verdict, problem) for problem in verdict.problems)
            if verdict.fails:
                element = ET.SubElement(case, "failure", type=verdict.rule, message=xml_text(message))
            else:
                skipped += 1
                element = ET.SubElement(case, "skipped", message=xml_text(f"warning: {message}"))
            element.text = xml_text("\n\n".join(_whole(verdict, problem) for problem in verdict.problems))
    suite.set("tests", str(len(verdicts)))
    suite.set("failures", str(sum(verdict.fails for verdict in verdicts)))
    suite.set("errors", "0")
    suite.set("skipped", str(skipped))
    suite.set("time", f"{sum(verdict.seconds for verdict in verdicts):.3f}")
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    content: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return content


def _short(verdict: Verdict, problem: Problem) -> str:
    return f"{place(verdict, problem)}: {sentence(problem)}. {problem.mend}"


def _whole(verdict: Verdict, problem: Problem) -> str:
    return "\n".join(
        part for part in (f"{place(verdict, problem)}: {sentence(problem)}", problem.mend, problem.details) if part
    )
