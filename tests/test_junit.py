import xml.etree.ElementTree as ET

import pytest

from pipeline import junit


def test_a_report_of_tests_that_never_came_to_report_holds_whatever_a_program_prints() -> None:
    document = junit.instead("x", "it \x1b[31mfailed\x1b[0m <&>", ["\x00\x07 \x1b[1mline\x1b[0m", "caf\ufffe \ud800"])
    root = ET.fromstring(document)  # noqa: S314 - our own
    (error,) = root.iter("error")
    assert (error.get("message"), error.text) == ("it failed <&>", "?? line\ncaf? ?")
    assert junit.read(document).failing == ("x.tests can be run",)


def test_what_is_no_xml_is_no_report() -> None:
    with pytest.raises(ValueError, match="not a JUnit report"):
        junit.read(b"<testsuites>")
