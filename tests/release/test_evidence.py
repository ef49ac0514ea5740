"""What the steps before left for the dossier."""

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


@pytest.mark.parametrize(
    ("name", "content"), [("images.json", "{}"), ("images.json", "["), ("a.xml", "<"), ("dags.json", "[]")]
)
def test_what_is_left_half_written_is_an_error_with_its_place(tmp_path: Path, name: str, content: str) -> None:
    if content == "{}":
        content = '{"name": 1}'
    with pytest.raises(PipelineError) as error:
        evidence.read(write(tmp_path, {name: content}))
    assert error.value.where == str(tmp_path / name)
