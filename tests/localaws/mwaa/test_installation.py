from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa.installation import Installations, asks_for_something, fingerprint, under_constraints
from pipeline.process import CommandError

AIRFLOWS_OWN = "https://raw.githubusercontent.com/apache/airflow/constraints-3.3.1/constraints-3.12.txt"


def test_an_installation_is_another_when_anything_in_it_changes() -> None:
    made = {
        fingerprint(b"lock", b"r", "python"),
        fingerprint(b"lock", b"r", "python", "wheels"),
        fingerprint(b"lock", b"r", "python", "others"),
        fingerprint(b"lock", b"s", "python"),
        fingerprint(b"lockr", b"", "python"),
        fingerprint(b"lock", b"r", "python3"),
    }
    assert len(made) == 6


@pytest.mark.parametrize(
    ("requirements", "installed", "with_lock"),
    [
        ("pandas\n", "pandas\n", True),
        (f"--constraint '{AIRFLOWS_OWN}'\npandas", "pandas\n", True),
        (f"-c {AIRFLOWS_OWN}\npandas", "pandas\n", True),
        ("# --constraint none\npandas", "# --constraint none\npandas\n", False),
        ("-c mine.txt\npandas", "-c mine.txt\npandas\n", False),
    ],
)
def test_requirements_are_installed_under_the_constraints_of_mwaa(
    requirements: str, installed: str, with_lock: bool
) -> None:
    assert under_constraints(requirements) == (installed, with_lock)


@pytest.mark.parametrize(
    ("text", "asks"), [("", False), ("# none\n\n", False), ("pandas\n", True), (f"-c {AIRFLOWS_OWN}\n", False)]
)
def test_a_file_of_comments_asks_for_nothing(text: str, asks: bool) -> None:
    assert asks_for_something(text) == asks


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    for version in ("3.3.1", "3.10.0", "2.11.2"):
        (tmp_path / f"airflow-{version}.txt").touch()
    assert Installations(tmp_path / "installed", tmp_path).versions() == ["2.11.2", "3.3.1", "3.10.0"]


def test_what_is_essential_to_mwaas_image_holds_beside_constraints_of_the_teams(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("flask==2.2.5\n")
    with pytest.raises(CommandError, match=r"flask==3\.1\.3"):
        Installations(tmp_path / "installed").with_requirements(
            "3.3.1", f"-c {mine}\nflask==2.2.5\n", "", lambda _: None
        )


def test_a_version_without_a_lock_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no lock for Airflow 9\.9\.9; there are locks for: .*3\.3\.1"):
        Installations(tmp_path / "installed").plain("9.9.9")
    assert not (tmp_path / "installed").exists()
