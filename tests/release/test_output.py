"""Files that a command is asked to write."""

from pathlib import Path

import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.release import output


def test_a_check_makes_folders_and_leaves_no_file(tmp_path: Path) -> None:
    output.check(tmp_path / "a/b/page.html", None)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["a", "b"]


def test_a_check_leaves_what_is_there_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("before")
    output.check(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "before"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("afile/page.html", "a part of its path is a file, not a folder"),
        ("afile/more/page.html", "a part of its path is a file, not a folder"),
        ("folder", "Is a directory"),
        ("n" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_wrong_usage_with_its_place(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "afile").write_text("")
    (tmp_path / "folder").mkdir()
    for action in (output.check, lambda place: output.write(place, "text")):
        with pytest.raises(PipelineError, match="the file cannot be written") as error:
            action(tmp_path / path)
        assert why in error.value.what
        assert error.value.where == str(tmp_path / path)
    with pytest.raises(UsageError):
        output.check(tmp_path / path)


def test_nothing_is_written_where_nothing_is_asked_for() -> None:
    output.check(None)
    output.write(None, "text")
