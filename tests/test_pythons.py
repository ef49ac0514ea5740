import sys
import time
from pathlib import Path

import pytest

from pipeline import pythons
from pipeline.process import run
from pipeline.pythons import airflow_python, find_python

UV = """#!/bin/sh
echo "$@" "retries=$UV_HTTP_RETRIES" >> {folder}/asked
case "$2" in
  find) [ -e {folder}/found ] && cat {folder}/found || exit 2 ;;
  install) [ -e {folder}/can-be-downloaded ] && mv {folder}/can-be-downloaded {folder}/found || exit 1 ;;
esac
"""


class Machine:
    """One with a uv that says what a test wants, and nothing else on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uv = self.program("bin/uv", UV.format(folder=folder))

    def program(self, path: str, text: str = "") -> Path:
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
        return program

    @property
    def asked(self) -> list[str]:
        return [line.split()[1] for line in (self.folder / "asked").read_text().splitlines()]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(pythons, "find_uv", lambda: str(made.uv))
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:/usr/bin:/bin")
    return made


def test_what_uv_finds_is_taken_and_a_link_in_a_virtual_environment_followed_to_what_stays(machine: Machine) -> None:
    python = machine.program("usr/bin/python9.12")
    link = machine.folder / "venv"
    link.symlink_to(python)
    (machine.folder / "found").write_text(f"{link}\n")
    assert find_python("9.12") == str(python)
    assert machine.asked == ["find"]


@pytest.mark.parametrize("kept_in", ["versions", "installs/python"])
def test_a_version_that_a_version_manager_keeps_but_has_not_chosen_is_found(machine: Machine, kept_in: str) -> None:
    machine.program("shims/python9.12", "#!/bin/sh\nexit 127\n")
    for version in ("9.12.2", "9.12.10", "9.12-dev", "9.1.30", "9.120.1"):
        machine.program(f"{kept_in}/{version}/bin/python{version.rpartition('.')[0]}")
        machine.program(f"{kept_in}/{version}/bin/python9.12")
    assert find_python("9.12") == str(machine.folder / kept_in / "9.12.10/bin/python9.12")
    assert machine.asked == ["find"]


def test_else_uv_downloads_it_in_one_try(machine: Machine) -> None:
    python = machine.program("uv/python9.12")
    (machine.folder / "can-be-downloaded").write_text(str(python))
    assert find_python("9.12") == str(python)
    assert machine.asked == ["find", "install", "find"]
    assert "install --quiet --no-bin 9.12 retries=0" in (machine.folder / "asked").read_text()


def test_without_any_airflow_runs_in_the_python_that_runs_us(machine: Machine) -> None:
    machine.program("shims/python3.12", "#!/bin/sh\nexit 127\n")  # pyenv leaves it behind when 3.12 was uninstalled
    assert find_python("3.12") is None
    assert airflow_python("3.3.1") == sys.executable


def test_a_python_that_never_answers_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "LOOK_SECONDS", 0.2, raising=False)
    machine.program("bin/uv", "#!/bin/sh\n[ $2 = find ] && exec sleep 20\nexit 1\n")
    started = time.monotonic()
    assert airflow_python("3.3.1") == sys.executable
    assert time.monotonic() - started < 10


def test_what_uv_really_finds_is_a_python_of_that_version() -> None:
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = find_python(mine)
    assert found is not None
    shown = run([found, "-c", "import sys; print(sys.prefix == sys.base_prefix, *sys.version_info[:2], sep='.')"])
    assert shown == f"True.{mine}\n"
