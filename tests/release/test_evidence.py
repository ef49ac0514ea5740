"""What the steps before left for the dossier."""

import os
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.release import evidence
from pipeline.release.evidence import Evidence, Image, Suite
from tests.release.values import write


def test_what_other_steps_left_is_found_in_folders_below(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "tests/dags.xml": '<testsuites><testsuite><testcase classname="a" name="one"/>'
            '<testcase name="two"><failure/></testcase><testcase name="three"><skipped/></testcase>'
            "</testsuite></testsuites>",
            "tests/coverage.xml": "<coverage/>",
            "images/images.json": '[{"name": "a", "tag": "t", "task": false, "reason": "new", "size": 3}]',
        },
    )
    found = evidence.read(tmp_path)
    assert found.tests == (Suite("dags", 1, 1, 1, ("two",)),)
    assert found.images == (Image("a", "t", "new", 3, task=False),)
    assert evidence.read(tmp_path / "nowhere") == Evidence()


def test_what_is_older_than_the_files_it_speaks_of_does_not_speak_for_them(tmp_path: Path) -> None:
    report = '<testsuite><testcase name="one"/></testsuite>'
    write(tmp_path, {"dags/a.py": "", "dags/.cache/x": "", "reports/old.xml": report, "reports/new.xml": report})
    write(tmp_path, {"reports/images.json": '[{"name": "a", "tag": "t", "task": true}]'})
    for name, time in {"dags/a.py": 200, "dags/.cache/x": 900, "reports/old.xml": 100, "reports/new.xml": 300}.items():
        os.utime(tmp_path / name, (time, time))
    os.utime(tmp_path / "reports/images.json", (100, 100))
    assert evidence.last_change(tmp_path) == 200
    found = evidence.read(tmp_path / "reports", evidence.last_change(tmp_path))
    assert found.tests == (Suite("new", 1, 0, 0), Suite("old", 1, 0, 0, older=True))
    assert (found.images, found.images_unknown) == (None, "images.json is older than the files here")
    of_this_execution = evidence.read(tmp_path / "reports")
    assert not any(suite.older for suite in of_this_execution.tests)
    assert of_this_execution.images == (Image("a", "t", ""),)


@pytest.mark.parametrize(
    ("name", "content"), [("images.json", "{}"), ("images.json", "["), ("a.xml", "<"), ("dags.json", "[]")]
)
def test_what_is_left_half_written_is_an_error_with_its_place(tmp_path: Path, name: str, content: str) -> None:
    if content == "{}":
        content = '{"name": 1}'
    with pytest.raises(PipelineError) as error:
        evidence.read(write(tmp_path, {name: content}))
    assert error.value.where == str(tmp_path / name)
