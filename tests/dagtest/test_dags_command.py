"""`pipeline test dags` with a real Airflow, on DAGs that fail in the ways DAGs do."""

import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from pipeline.dagtest.airflow_environment import FOLDER, ensure
from pipeline.dagtest.commands import dags
from pipeline.errors import PipelineError

ROOT = Path(__file__).resolve().parents[2]
HEAD = """from airflow.sdk import DAG
from fargate import fargate_task
from pendulum import datetime
"""
FILES = {
    "good.py": 'with DAG("good", start_date=datetime(2026, 1, 1)):\n    fargate_task("ingest", command=["{{ ds }}"])\n',
    "broken.py": 'with DAG("broken"\n',
    "hangs.py": "while True: pass\n",
    "unknown.py": 'with DAG("unknown"):\n    fargate_task("transfrom", command=["x"])\n',
    "template.py": 'with DAG("template"):\n    fargate_task("ingest", command=["{{ data_interval_strat }}"])\n',
    "raises.py": "def f():\n    return 1 / 0\nf()\n",
    "leaves.py": "import os\nos._exit(0)\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the real helper and the real Airflow environment, shared with the developer's own."""
    ensure(ROOT, "3.3.1")
    shutil.copy(ROOT / "cdk.json", tmp_path)
    (tmp_path / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "fargate.py", tmp_path / "dags")
    shutil.copy(ROOT / "dags" / "requirements.txt", tmp_path / "dags")
    (tmp_path / "dags" / ".airflowignore").write_text("fargate.py\n")
    for name in ("ingest", "transform"):
        (tmp_path / "containers" / name).mkdir(parents=True)
        (tmp_path / "containers" / name / "Dockerfile").touch()
    (tmp_path / FOLDER).symlink_to(ROOT / FOLDER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(project: Path, *names: str) -> tuple[Result, dict[tuple[str, str], ET.Element]]:
    """Put these files into the DAG folder, run the command, and read its report by file and rule."""
    for name in names:
        (project / "dags" / name).write_text(HEAD + FILES[name])
    result = CliRunner().invoke(dags, ["--seconds", "8"])
    root = ET.parse(project / "reports" / "dags.xml").getroot()  # noqa: S314 - written a moment ago
    return result, {(case.get("classname", ""), case.get("name", "")): case for case in root.iter("testcase")}


def test_good_dags_pass_and_nothing_is_left_in_their_folder(project: Path) -> None:
    result, cases = run(project, "good.py")
    assert result.exit_code == 0
    assert {(path, len(list(case))) for (path, _), case in cases.items()} == {("dags/good.py", 0)}
    assert not list((project / "dags").rglob("__pycache__"))


def test_each_bad_file_fails_its_own_case_with_the_line_and_the_others_are_unaffected(project: Path) -> None:
    result, cases = run(project, *FILES)
    assert isinstance(result.exception, PipelineError)
    assert result.exception.exit_code == 1
    failures = {
        (Path(path).name, rule): case[0].get("message")
        for (path, rule), case in cases.items()
        if case.find("failure") is not None
    }
    assert failures == {
        ("broken.py", "imports"): "dags/broken.py:4: SyntaxError: '(' was never closed",
        ("hangs.py", "imports"): "dags/hangs.py: importing it did not end within 8 s",
        ("leaves.py", "imports"): "dags/leaves.py: importing it ended its process with code 0",
        ("raises.py", "imports"): "dags/raises.py:5: ZeroDivisionError: division by zero",
        ("template.py", "templates-render"): (
            "dags/template.py:5: template.ingest: the template in overrides does not render: "
            "'{{ data_interval_strat }}': UndefinedError: 'data_interval_strat' is undefined"
        ),
        ("unknown.py", "container-exists"): (
            "dags/unknown.py:5: unknown.transfrom: there is no container 'transfrom'; "
            "containers that run as tasks: ingest, transform"
        ),
    }


def test_the_sample_project_is_ready_for_airflow(project: Path) -> None:
    shutil.rmtree(project / "containers")
    shutil.copytree(ROOT / "containers", project / "containers", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "dags").glob("*.py"):
        shutil.copy(path, project / "dags")
    (project / "dags" / ".airflowignore").write_text((ROOT / "dags" / ".airflowignore").read_text())
    result = CliRunner().invoke(dags, [])
    assert result.exit_code == 0, result.exception
