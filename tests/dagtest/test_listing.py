"""Which files are tested: those that Airflow reads, wherever one begins to look, and those that it should have read."""

import json
from pathlib import Path

import pytest

from pipeline.dagtest.worker.listing import why_passed_over
from tests.dagtest.projects import Run, make_project, run

DAG = "from airflow.models.dag import DAG\ndag = DAG({!r}, schedule=None)\n"
ZIP = b"PK\x03\x04 airflow and DAGs, of which a half arrived"
FILES: dict[str, str | bytes] = {
    "good.py": DAG.format("good"),
    "wide.py": DAG.format("wide").encode("utf-16"),
    "wide_notes.py": "x = 1\n".encode("utf-16"),
    "broken.zip": ZIP,
    "pointer.zip": "version https://git-lfs.github.com/spec/v1\n",
    "examples/fine.py": DAG.format("fine"),
    "examples/skip_me.py": f"raise KeyError\n{DAG.format('skip_me')}",
    "examples/skip_wide.py": DAG.format("skip_wide").encode("utf-16"),
    "fargate.py": "",
    ".airflowignore": "plugins/\nexamples/skip_me.py\nexamples/skip_wide.py\n",
}


def reported(found: Run) -> set[str]:
    """The files that the report names."""
    return {path for path, _ in found.cases}


@pytest.mark.parametrize("airflow", ["3.3.1", "2.10.3"])
def test_files_that_airflow_ignores_are_not_tested_and_broken_ones_are_named(tmp_path: Path, airflow: str) -> None:
    project = make_project(tmp_path, FILES, airflow=airflow)
    whole = run(project)
    assert reported(whole) == {"dags/good.py", "dags/wide.py", "dags/broken.zip", "dags/examples/fine.py"}
    assert set(whole.said()) == {("wide.py", "imports"), ("broken.zip", "imports")}
    assert "it is not UTF-8: Airflow passes over it, and says nothing" in whole.said()["wide.py", "imports"]
    assert "it is a broken zip file" in whole.said()["broken.zip", "imports"]
    assert "would show this as an import error" not in json.dumps(list(whole.said().values()))
    part = run(project, "dags/examples")
    assert reported(part) == {"dags/examples/fine.py"}
    assert not part.said()
    named = run(project, "dags/examples/skip_me.py", "dags/examples")
    assert reported(named) == {"dags/examples/skip_me.py", "dags/examples/fine.py"}
    assert set(named.said()) == {("skip_me.py", "imports")}


@pytest.mark.parametrize(
    ("name", "content", "is_told"),
    [
        ("a.py", DAG.encode("utf-16-le"), True),
        ("a.py", DAG.encode("utf-16-be"), True),
        ("a.py", DAG.encode("utf-32"), True),
        ("a.py", DAG.encode(), False),
        ("a.py", DAG.encode("utf-8-sig"), False),
        ("a.py", b"", False),
        ("a.zip", ZIP, True),
        ("a.zip", b"", False),
        ("a.txt", ZIP, False),
    ],
)
def test_what_airflow_passes_over_is_known_by_its_bytes(
    tmp_path: Path, name: str, content: bytes, is_told: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert bool(why_passed_over(tmp_path / name)) is is_told
