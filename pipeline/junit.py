"""JUnit reports that tests write: which failed, and a report in place of one that was never written."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

# XML 1.0 has no characters for these; what a program prints may hold them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def xml_text(text: str) -> str:
    """The text as XML can hold it: without terminals' colours, and with a ? for each character that XML has not."""
    return _NOT_XML.sub("?", _COLOUR.sub("", text))


@dataclass(frozen=True)
class Report:
    """A JUnit report: how many tests it holds, and the names of those that failed or ended with an error."""

    tests: int
    failing: tuple[str, ...]


def read(document: bytes) -> Report:
    """Read a report.

    Raises:
        ValueError: It is no XML.
    """
    try:
        root = ET.fromstring(document)  # noqa: S314 - written by the project's own tests a moment ago
    except ET.ParseError as error:
        raise ValueError(f"not a JUnit report: {error}") from None
    cases = list(root.iter("testcase"))
    failing = [_name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return Report(len(cases), tuple(failing))


def instead(suite: str, problem: str, lines: Sequence[str]) -> bytes:
    """A report with one error: what a reader of test reports sees when the tests never came to report themselves."""
    whole = ET.Element("testsuite", name=suite, tests="1", errors="1", failures="0", skipped="0", time="0")
    case = ET.SubElement(whole, "testcase", classname=suite, name="tests can be run", time="0")
    error = ET.SubElement(case, "error", message=xml_text(problem))
    error.text = xml_text("\n".join(lines))
    suites = ET.Element("testsuites")
    suites.append(whole)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def _name(case: ET.Element) -> str:
    suite = case.get("classname", "")
    return f"{suite}.{case.get('name', '')}" if suite else case.get("name", "")
