import os
from pathlib import Path

import pytest

from pipeline.dagtest import airflow_environment
from pipeline.dagtest.airflow_environment import (
    LOCKS,
    AirflowEnvironment,
    ensure,
    fingerprint,
    has_requirements,
    python_of,
    versions,
    what_decides,
)
from pipeline.dagtest.project_containers import tasks_and_bases
from pipeline.errors import UsageError
from pipeline.pythons import mwaa_python


def test_an_environment_is_made_anew_when_anything_in_it_changes() -> None:
    made = fingerprint(b"lock", b"requirements", "/usr/bin/python3.12")
    assert made == fingerprint(b"lock", b"requirements", "/usr/bin/python3.12")
    others = {
        fingerprint(b"other", b"requirements", "/usr/bin/python3.12"),
        fingerprint(b"lock", b"other", "/usr/bin/python3.12"),
        fingerprint(b"lock", b"requirements", "/usr/bin/python3.11"),
        fingerprint(b"lockr", b"equirements", "/usr/bin/python3.12"),
    }
    assert len(others | {made}) == 5


@pytest.mark.parametrize(
    ("airflow", "python"), [("3.3.1", "3.12"), ("3.0.6", "3.12"), ("2.11.0", "3.12"), ("2.10.3", "3.11")]
)
def test_the_python_is_the_one_mwaa_runs_that_airflow_on(airflow: str, python: str) -> None:
    assert mwaa_python(airflow) == python


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("", False),
        ("# none\n\n  # yet\n", False),
        ("# one\npandas\n", True),
        ("--constraint x.txt\n", False),
        ("-r x.txt\n", True),
    ],
)
def test_a_file_of_comments_asks_for_nothing(text: str, asks: bool) -> None:
    assert has_requirements(text) == asks


def test_a_version_without_a_lock_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no lock for Airflow 9\.9\.9; there are locks for: .*3\.3\.1"):
        ensure(tmp_path, "9.9.9")
    assert not list(tmp_path.iterdir())


def test_locks_pin_everything_by_hash_and_name_no_index() -> None:
    for lock in {*LOCKS.glob("*.txt")} - {*LOCKS.glob("essential-*.txt")}:  # these are constraints, never installed
        lines = lock.read_text().splitlines()
        assert all("==" in line or line.startswith("    --hash=sha256:") for line in lines)
        assert not any("://" in line or line.startswith("-") for line in lines)
    for version in versions():
        assert f"apache-airflow=={version} \\" in (LOCKS / f"airflow-{version}.txt").read_text().splitlines()
        assert (LOCKS / f"tests-{version}.txt").is_file()


def test_containers_are_tasks_unless_they_say_otherwise(tmp_path: Path) -> None:
    for name, declaration in {
        "base": "task = false",
        "ingest": 'base = "base"',
        "odd": "not toml",
        "bare": None,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").touch()
        if declaration is not None:
            (tmp_path / name / "container.toml").write_text(declaration)
    (tmp_path / "notes").mkdir()
    assert tasks_and_bases(tmp_path) == (frozenset({"bare", "ingest", "odd"}), frozenset({"base"}))
    assert tasks_and_bases(tmp_path / "nowhere") == (frozenset(), frozenset())


def test_another_constraints_file_is_another_environment(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("--constraint /usr/local/airflow/dags/c.txt\npyjokes\n")
    asked = []
    for pin in ("0.6.0", "0.5.0"):
        (tmp_path / "c.txt").write_text(f"pyjokes=={pin}\n")
        asked.append(what_decides(requirements))
    assert asked[0] != asked[1]
    (tmp_path / "c.txt").unlink()
    assert what_decides(requirements) not in asked


def test_the_python_is_looked_for_again_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = [tmp_path / "python3.11", tmp_path / "python3.12"]
    for python in there:
        python.touch()
    found = iter(map(str, there))
    monkeypatch.setattr(airflow_environment, "airflow_python", lambda _: next(found))
    assert python_of(tmp_path, "3.3.1") == python_of(tmp_path, "3.3.1") == str(there[0])
    (note,) = (tmp_path / ".airflow").iterdir()
    yesterday = note.stat().st_mtime - airflow_environment.LOOK_AGAIN - 1
    os.utime(note, (yesterday, yesterday))
    assert python_of(tmp_path, "3.3.1") == str(there[1])


@pytest.mark.parametrize(
    ("runs_on", "name"),
    [
        ("version_info = 3.12.1", "Airflow 3.3.1 on Python 3.12.1"),
        ("version = 3.11.7", "Airflow 3.3.1 on Python 3.11.7 (MWAA has 3.12)"),
    ],
)
def test_results_are_named_after_the_python_too(tmp_path: Path, runs_on: str, name: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{runs_on}\n")
    assert AirflowEnvironment(tmp_path, "3.3.1", tmp_path).name == name
