from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa.installation import Installations, asks_for_something, fingerprint, under_constraints

LOCK = "apache-airflow==3.3.1 \\\n    --hash=sha256:1\nboto3==1.40.0 \\\n    --hash=sha256:2\n"
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
    ("requirements", "installed", "constraints"),
    [
        ("pandas\n", "pandas\n", LOCK),
        (f"--constraint '{AIRFLOWS_OWN}'\npandas", "pandas\n", LOCK),
        (f"-c {AIRFLOWS_OWN}\npandas", "pandas\n", LOCK),
        ("# --constraint none\npandas", "# --constraint none\npandas\n", "apache-airflow==3.3.1\n"),
        ("-c mine.txt\npandas", "-c mine.txt\npandas\n", "apache-airflow==3.3.1\n"),
    ],
)
def test_requirements_are_installed_under_the_constraints_of_mwaa(
    requirements: str, installed: str, constraints: str
) -> None:
    assert under_constraints(requirements, LOCK) == (installed, constraints)


@pytest.mark.parametrize(
    ("text", "asks"), [("", False), ("# none\n\n", False), ("pandas\n", True), (f"-c {AIRFLOWS_OWN}\n", False)]
)
def test_a_file_of_comments_asks_for_nothing(text: str, asks: bool) -> None:
    assert asks_for_something(text) == asks


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    for version in ("3.3.1", "3.10.0", "2.11.2"):
        (tmp_path / f"airflow-{version}.txt").touch()
    assert Installations(tmp_path / "installed", tmp_path).versions() == ["2.11.2", "3.3.1", "3.10.0"]


def test_a_version_without_a_lock_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no lock for Airflow 9\.9\.9; there are locks for: .*3\.3\.1"):
        Installations(tmp_path / "installed").plain("9.9.9")
    assert not (tmp_path / "installed").exists()
