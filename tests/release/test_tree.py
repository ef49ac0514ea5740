import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.release.plugins import EMPTY_ZIP
from pipeline.release.tree import gather
from tests.release.conftest import AsNobody
from tests.release.values import write


def keys(folder: Path) -> set[str]:
    return set(gather(folder).with_release_file(b"{}").files)


def test_everything_airflow_needs_is_shipped(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", "sql/deep/b.sql": "x", ".airflowignore": "helper", "data.csv": "", "README.md": ""})
    assert keys(tmp_path) == {
        "dags/a.py",
        "dags/sql/deep/b.sql",
        "dags/.airflowignore",
        "dags/data.csv",
        "dags/README.md",
        "dags/_release.json",
    }


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        "__pycache__/a.cpython-311.pyc",
        "sub/__pycache__/a.pyc",
        "a.pyc",
        "tests/test_a.py",
        "sub/tests/test_a.py",
        "requirements.txt",
        "startup.sh",
        "plugins/p.py",
    ],
)
def test_what_airflow_does_not_need_stays(tmp_path: Path, name: str) -> None:
    assert keys(write(tmp_path, {name: "x"})) == {"dags/_release.json"}


@pytest.mark.parametrize("name", ["sub/requirements.txt", "sub/plugins/p.py", "test.py", "sub/startup.sh"])
def test_a_name_is_special_only_in_its_place(tmp_path: Path, name: str) -> None:
    assert f"dags/{name}" in keys(write(tmp_path, {name: "x"}))


def test_the_release_file_comes_from_the_stacks_not_from_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"_release.json": "somebody's own"})
    assert gather(tmp_path).with_release_file(b"the real one").files["dags/_release.json"].read() == b"the real one"


def test_checksums_are_those_of_the_content(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1\n", "empty.sql": ""})
    file = gather(tmp_path).files["dags/a.py"]
    assert file.sha256 == hashlib.sha256(b"x = 1\n").hexdigest()
    assert file.md5 == hashlib.md5(b"x = 1\n").hexdigest()  # noqa: S324 - what S3 shows
    assert file.size == 6
    assert gather(tmp_path).files["dags/empty.sql"].size == 0


def test_files_are_published_after_what_they_import_and_read(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import helper", "helper.py": "", "q.sql": ""})
    level = {key: file.level for key, file in gather(tmp_path).with_release_file(b"").files.items()}
    assert level == {"dags/_release.json": 0, "dags/q.sql": 0, "dags/helper.py": 1, "dags/a.py": 2}


def test_a_link_within_the_folder_is_its_content(tmp_path: Path) -> None:
    write(tmp_path, {"real.sql": "select"})
    (tmp_path / "link.sql").symlink_to("real.sql")
    assert gather(tmp_path).files["dags/link.sql"].read() == b"select"


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "nowhere", "link"])
def test_a_link_out_of_the_folder_or_to_nothing_is_refused(tmp_path: Path, target: str) -> None:
    write(tmp_path, {"dags/a.py": "", "secret": "s"})
    (tmp_path / "dags/link").symlink_to(target)
    with pytest.raises(PipelineError) as error:
        gather(tmp_path / "dags")
    assert error.value.where.endswith("dags/link")


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_what_would_be_read_forever_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    if name == "link":
        (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(PipelineError, match="neither a file nor a folder") as error:
        gather(tmp_path)
    assert error.value.where.endswith(name)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"sub/a.py": ""})
    (tmp_path / "again").symlink_to("sub")
    with pytest.raises(PipelineError, match="links to folders"):
        gather(tmp_path)


def test_names_with_spaces_and_letters_beyond_ascii_are_fine(tmp_path: Path) -> None:
    assert "dags/größe und maß/日次 報告.py" in keys(write(tmp_path, {"größe und maß/日次 報告.py": ""}))


@pytest.mark.parametrize("name", ["a\nb.py", "a\\b.py", "\x7f.py"])
def test_a_name_that_cannot_be_trusted_to_be_copied_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PipelineError, match="control character or a backslash"):
        gather(write(tmp_path, {name: ""}))


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("")
    with pytest.raises(PipelineError, match="not valid UTF-8"):
        gather(tmp_path)


def test_a_name_longer_than_s3_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="longer than 1024 bytes"):
        gather(write(tmp_path, {f"{'d' * 250}/{'e' * 250}/{'f' * 250}/{'g' * 250}/{'h' * 50}.py": ""}))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="does not exist"):
        gather(tmp_path / "dags")


@pytest.mark.parametrize("shut", ["a.py", "sub", "q.sql", "plugins/p.py", "plugins/deep", "requirements.txt"])
def test_what_cannot_be_read_is_named(readable_by_all: Path, as_nobody: AsNobody, shut: str) -> None:
    names = ("a.py", "sub/b.py", "q.sql", "plugins/p.py", "plugins/deep/q.py", "requirements.txt")
    write(readable_by_all, dict.fromkeys(names, ""))
    with as_nobody(readable_by_all / shut), pytest.raises(PipelineError, match="cannot be read: Permission") as error:
        gather(readable_by_all)
    assert error.value.where == str(readable_by_all / shut)


def test_a_file_that_changes_while_it_is_published_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "one"})
    file = gather(tmp_path).files["dags/a.py"]
    write(tmp_path, {"a.py": "two"})
    with pytest.raises(PipelineError, match="changed while it was being published"):
        file.read()


def test_parts_are_taken_from_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "pandas\n", "startup.sh": "true\n", "plugins/sub/p.py": "p"})
    parts = gather(tmp_path).parts
    assert {name: part.key for name, part in parts.items()} == {
        "requirements": "requirements.txt",
        "startup": "startup.sh",
        "plugins": "plugins.zip",
    }
    with zipfile.ZipFile(io.BytesIO(parts["plugins"].read())) as archive:
        assert archive.read("sub/p.py") == b"p"


def test_a_folder_without_parts_has_none(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    assert gather(tmp_path).parts == {}


def test_the_plugins_are_the_same_after_a_fresh_checkout(tmp_path: Path) -> None:
    for place, time in (("one", 1_000_000_000), ("two", 1_700_000_000)):
        write(tmp_path / place, {"plugins/b.py": "b", "plugins/a.py": "a"})
        os.utime(tmp_path / place / "plugins/a.py", (time, time))
    (tmp_path / "two/plugins/b.py").chmod(0o600)
    one, two = (gather(tmp_path / place).parts["plugins"] for place in ("one", "two"))
    assert one.sha256 == two.sha256


def test_an_executable_plugin_is_another_plugin(tmp_path: Path) -> None:
    write(tmp_path, {"plugins/run.sh": "x"})
    before = gather(tmp_path).parts["plugins"].sha256
    (tmp_path / "plugins/run.sh").chmod(0o755)
    assert gather(tmp_path).parts["plugins"].sha256 != before


def test_the_empty_zip_is_one() -> None:
    with zipfile.ZipFile(io.BytesIO(EMPTY_ZIP)) as archive:
        assert archive.namelist() == []
