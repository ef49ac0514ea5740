import re
from pathlib import Path

import pytest

from pipeline.dagtest.airflow_environment import LOCKS, versions
from pipeline.dagtest.constraints import constraints_for, expanded, named, normal, pins, without_constraints

LOCK = "apache-airflow==3.3.1 \\\n    --hash=sha256:00\nflask==3.1.3 \\\nRequests_Mock==1.0 ; python_version > '3'\n"
ADDRESS = "https://example.invalid/constraints-3.3.1/constraints-3.12.txt"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("pandas\n# --constraint x.txt\n", None),
        (f'--constraint "{ADDRESS}"\n', ADDRESS),
        (f"-c {ADDRESS}  # Airflow's\n", ADDRESS),
        ("--constraint=/usr/local/airflow/dags/c.txt\npandas\n", "/usr/local/airflow/dags/c.txt"),
    ],
)
def test_the_constraints_that_a_file_names_are_found(text: str, expected: str | None) -> None:
    assert named(text) == expected
    assert named(without_constraints(text)) is None
    assert len(without_constraints(text).splitlines()) == len(text.splitlines())


def test_pins_are_read_by_normalised_names() -> None:
    assert pins(LOCK) == {"apache-airflow": "3.3.1", "flask": "3.1.3", "requests-mock": "1.0"}
    assert normal("Flask__SQL.Alchemy") == "flask-sql-alchemy"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "airflow-3.3.1.txt").write_text(LOCK)
    (tmp_path / "essential-3.3.1.txt").write_text("apache-airflow==3.3.1\ngunicorn==26.0.0\n")
    return tmp_path


def test_a_file_of_the_teams_holds_together_with_the_essential_ones(project: Path) -> None:
    (project / "dags" / "requirements.txt").write_text("--constraint /usr/local/airflow/dags/c.txt\npandas\n")
    (project / "dags" / "c.txt").write_text("pandas==2.2.3\n")
    found = constraints_for(project, "3.3.1", project)
    assert found.is_whole
    assert found.pins() == {"pandas": "2.2.3", "apache-airflow": "3.3.1", "gunicorn": "26.0.0"}
    assert found.essential == {"apache-airflow", "gunicorn"}
    assert found.requirements.read_text() == "\npandas\n"


def test_included_files_and_mwaas_paths_are_those_of_the_project(project: Path) -> None:
    dags = project / "dags"
    (dags / "more.txt").write_text("polars\n-r requirements.txt\n")
    (dags / "sub").mkdir()
    (dags / "sub" / "other.txt").write_text("-r ../more.txt\n/usr/local/airflow/plugins/own.whl\n")
    text = (
        "--find-links /usr/local/airflow/plugins\n--no-index\n-r sub/other.txt\n"
        "-r /usr/local/airflow/dags/more.txt\n-r gone.txt\npandas\n"
    )
    (dags / "requirements.txt").write_text(text)
    assert expanded(dags / "requirements.txt", text).splitlines() == [
        f"--find-links {dags}/plugins",
        "--no-index",
        "polars",
        f"{dags}/plugins/own.whl",
        "polars",
        "-r gone.txt",
        "pandas",
    ]


def test_without_an_answer_the_lock_of_the_image_holds_and_it_is_said_that_this_is_a_part(project: Path) -> None:
    (project / "dags" / "requirements.txt").write_text(f"--constraint {ADDRESS}\npandas\n")
    found = constraints_for(project, "3.3.1", project)
    assert not found.is_whole
    assert "could not be reached" in found.source
    assert found.pins() == {**pins(LOCK), "gunicorn": "26.0.0"}


@pytest.mark.parametrize("words", ["# we do without: --constraint none", "pandas  # not with -c x.txt"])
def test_where_a_comment_speaks_of_constraints_mwaa_adds_none_but_the_essential_ones(project: Path, words: str) -> None:
    (project / "dags" / "requirements.txt").write_text(f"{words}\nboto3==1.35.0\n")
    found = constraints_for(project, "3.3.1", project)
    assert found.is_whole
    assert found.pins() == {"apache-airflow": "3.3.1", "gunicorn": "26.0.0"}
    assert "it adds no others where a line has" in found.source


@pytest.mark.parametrize("version", versions())
def test_what_is_essential_to_mwaa_is_locked_with_the_versions_of_its_image(version: str) -> None:
    image = pins((LOCKS / f"airflow-{version}.txt").read_text())
    held = pins((LOCKS / f"essential-{version}.txt").read_text())
    named_in = (LOCKS / f"essential-{version}.in").read_text().splitlines()
    assert set(held) == {re.split("[ =]", line)[0] for line in named_in if not line.startswith("#")}
    assert held["apache-airflow"] == version
    assert {"celery", "sqlalchemy", "statsd", "watchtower", "flask", "gunicorn"} <= set(held)
    assert {name: pin for name, pin in image.items() if name in held} == {
        name: pin for name, pin in held.items() if name in image
    }
