"""The team's own tests of DAGs, the reports of both kinds, and how CodeBuild reads them."""

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pipeline.dagtest.commands import dags
from pipeline.errors import PipelineError
from pipeline.junit import read
from pipeline.localaws.codebuild.reports import counts, coverage
from pipeline.localaws.codebuild.reports import test_cases as cases_of
from tests.dagtest.projects import make_project, run

DAG = "from airflow.sdk import DAG\nfrom rates import rate\ndag = DAG('orders', description=str(rate(1)))\n"
RATES = "def rate(n):\n    if n > 1:\n        return 2\n    return 1\n"
TESTS = "from rates import rate\ndef test_one():\n    assert rate(1) == 1\ndef test_two():\n    assert rate(2) == {}\n"


def project_with_tests(folder: Path, two: int) -> Path:
    ignored = "fargate.py\nplugins/\nrates.py\n"
    project = make_project(folder, {"orders.py": DAG, "rates.py": RATES, ".airflowignore": ignored})
    (project / "tests" / "dags").mkdir(parents=True)
    (project / "tests" / "dags" / "pytest.ini").write_text("[pytest]\n")
    (project / "tests" / "dags" / "test_rates.py").write_text(TESTS.format(two))
    return project


def test_the_teams_tests_have_a_report_of_their_own_and_the_coverage_of_the_dag_folder(tmp_path: Path) -> None:
    project = project_with_tests(tmp_path, 2)
    assert run(project).result.exit_code == 0
    suite = ET.parse(project / "reports" / "dags-unit.xml").getroot()[0]  # noqa: S314 - written a moment ago
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    coverage = ET.parse(project / "reports" / "dags-coverage.xml").getroot()  # noqa: S314 - our own report
    assert coverage.tag == "coverage"
    lines = {found.get("filename"): found.get("line-rate") for found in coverage.iter("class")}
    assert lines["rates.py"] == "1"
    assert lines["orders.py"] == "0"


def test_codebuild_counts_what_was_found_and_shows_where_why_and_what_to_do(tmp_path: Path) -> None:
    project = project_with_tests(tmp_path, 2)
    (project / "dags" / "broken.py").write_text("import os  # airflow DAG\nos._exit(3)\n")
    run(project)
    cases = cases_of((project / "reports" / "dags.xml").read_bytes(), "JUNITXML")
    found = counts(cases)
    assert (found["FAILED"], found["ERROR"], found["UNKNOWN"]) == (1, 0, 0)
    assert found["SUCCEEDED"] + found["SKIPPED"] + 1 == len(cases)
    (failed,) = [case for case in cases if case.status == "FAILED"]
    assert failed.message.startswith(
        "dags/broken.py:2: importing it ended its process with code 3 (os._exit(3)). "
        "Airflow would show this as an import error"
    )
    (rates,) = [
        file for file in coverage((project / "reports" / "dags-coverage.xml").read_bytes()) if "rates" in file.path
    ]
    assert rates.lines_missed == 0


def test_a_failing_test_of_the_teams_fails_the_run(tmp_path: Path) -> None:
    result = run(project_with_tests(tmp_path, 3)).result
    assert isinstance(result.exception, PipelineError)
    assert "the tests in tests/dags" in str(result.exception)
    assert "assert 2 == 3" in result.output


def test_tests_find_the_dags_environment_and_nothing_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")
    asking = (
        "import os\ndef test_it():\n    assert (os.environ['STAGE'], 'ONLY_HERE' in os.environ) == ('dev', False)\n"
    )
    project = make_project(
        tmp_path, {"orders.py": "from airflow.sdk import DAG\nDAG('a')\n"}, environment={"STAGE": "dev"}
    )
    (project / "tests" / "dags").mkdir(parents=True)
    (project / "tests" / "dags" / "orders_test.py").write_text(asking)
    found = run(project).result
    assert found.exit_code == 0, found.output
    assert "1 passed" in found.output


def test_with_paths_only_those_files_are_tested(tmp_path: Path) -> None:
    project = project_with_tests(tmp_path, 3)
    found = run(project, "dags/orders.py")
    assert found.result.exit_code == 0
    assert {path for path, _ in found.cases} == {"dags/orders.py"}
    assert not (project / "reports" / "dags-unit.xml").exists()


def test_a_report_of_an_earlier_run_does_not_speak_for_one_that_ends_early(tmp_path: Path) -> None:
    project = project_with_tests(tmp_path, 2)
    (project / "reports").mkdir()
    (project / "reports" / "dags.xml").write_text("<testsuites/>")
    (project / "dags" / "requirements.txt").write_text("there-is-no-such-package-as-this-one==1\n")
    before = Path.cwd()
    os.chdir(project)
    try:
        result = CliRunner().invoke(dags)
    finally:
        os.chdir(before)
    assert isinstance(result.exception, PipelineError)
    assert "dags/requirements.txt" in str(result.exception)
    report = read((project / "reports" / "dags.xml").read_bytes())
    assert report.failing == ("dags.tests can be run",)


def test_tests_that_cannot_be_started_are_an_error_in_their_report(tmp_path: Path) -> None:
    project = project_with_tests(tmp_path, 2)
    (project / "tests" / "dags" / "conftest.py").write_text("import nothing_like_it\n")
    result = run(project).result
    assert "the tests in tests/dags" in str(result.exception)
    report = (project / "reports" / "dags-unit.xml").read_bytes()
    assert read(report).failing == ("tests/dags.tests can be run",)
    assert b"No module named 'nothing_like_it'" in report


def test_what_ends_airflow_itself_is_in_the_report_and_tells_nothing_of_how_we_start_it(tmp_path: Path) -> None:
    files = {"orders.py": "from airflow.sdk import DAG\nDAG('a')\n", "plugins/airflow_local_settings.py": "1 / 0\n"}
    project = make_project(tmp_path, files)
    result = run(project).result
    assert "Airflow ended with code 1 before all DAG files were imported" in str(result.exception)
    report = (project / "reports" / "dags.xml").read_text()
    assert "ZeroDivisionError" in report
    assert "env -i" not in report + str(result.exception)
