import os
import stat
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.codebuild.archive import Entry, pack, unpack


def test_modes_and_links_survive(tmp_path: Path) -> None:
    run = tmp_path / "run.sh"
    run.write_text("#!/bin/sh\n")
    run.chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")
    with (tmp_path / "x.zip").open("wb") as target:
        pack([Entry(run, "bin/run.sh"), Entry(tmp_path / "link", "bin/link", link=True)], target)
    unpack(tmp_path / "x.zip", tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/bin/run.sh").stat().st_mode) == 0o755
    assert (tmp_path / "out/bin/link").readlink() == Path("run.sh")
    assert (tmp_path / "out/bin/link").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil"])
def test_an_entry_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(PipelineError, match="outside of its folder"):
        unpack(tmp_path / "x.zip", tmp_path / "out" / "deep")
    assert not (tmp_path / "evil").exists()


def test_nothing_is_written_through_a_link_of_the_archive(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("door")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(outside))
        archive.writestr("door/file", "x")
    with pytest.raises(PipelineError, match="cannot be unpacked"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert list(outside.iterdir()) == []


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no")
    with pytest.raises(PipelineError, match="no ZIP file"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_files_older_than_zip_itself_can_be_packed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("x")
    os.utime(old, (0, 0))
    content = BytesIO()
    pack([Entry(old, "old")], content)
    assert zipfile.ZipFile(content).read("old") == b"x"
