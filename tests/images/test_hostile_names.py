"""Names of files that are no text, or would write on a terminal what the pipeline never said."""

from pathlib import Path

import pytest

from pipeline.images.checks.judging import Checks
from pipeline.images.containers import discover
from pipeline.images.inputs import FileInput, Inputs
from pipeline.images.record import differences
from pipeline.localaws.region import LocalRegion
from pipeline.settings import Images
from tests.images.folders import write
from tests.images.project import Project

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize("name", ["new\nline", "\x1b[31mred", "bad\udcff"])
def test_a_name_that_cannot_be_printed_is_quoted(name: str, tmp_path: Path) -> None:
    before, now = Inputs((), files={}), Inputs((), files={name: FileInput("file", A)})
    assert differences(before, now) == (f"{name!r} is new",)
    write(tmp_path, {"x/Dockerfile": "FROM scratch\nCOPY . /\n", f"x/{name}": "-----BEGIN RSA PRIVATE KEY-----\n"})
    found = [each for each in Checks(Images()).before(*discover(tmp_path)) if each.check == "secrets"]
    assert [each.where for each in found] == [f"{str(tmp_path / 'x' / name)!r}:1"]


def test_other_names_are_written_as_they_are() -> None:
    before, now = Inputs((), files={}), Inputs((), files={"src/größe 1.py": FileInput("file", A)})
    assert differences(before, now) == ("src/größe 1.py is new",)


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_terminal_of_any_encoding_is_written_to(encoding: str, tmp_path: Path, registry: LocalRegion) -> None:
    project = Project(tmp_path, "", registry)
    project.environment |= {"PYTHONIOENCODING": encoding}
    write(tmp_path / "containers", {"base/bad\udcff größe": "-----BEGIN RSA PRIVATE KEY-----\n"})
    for command, code in (("plan", 0), ("check", 1), ("build", 1)):
        ended, out, err = project.run(command)
        assert (ended, "Traceback" in err) == (code, False), out + err
