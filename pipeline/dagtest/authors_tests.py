"""The tests that the authors of DAGs write themselves, in `tests/dags`, run by pytest where Airflow is."""

from pathlib import Path

from pipeline.console import out, step
from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.process import CommandError, run

TESTS = Path("tests/dags")
SECONDS = 1800.0


def exist(project: Path) -> bool:
    """Whether there are any."""
    return any((project / TESTS).rglob("test_*.py"))


def run_them(environment: AirflowEnvironment, project: Path, dag_folder: Path, reports: Path, region: str) -> bool:
    """Run them; say what failed.

    Writes `dags-unit.xml` (JUnit) and `dags-coverage.xml` (Cobertura, of the DAG folder) into the reports.

    Returns:
        Whether all of them passed.
    """
    folder = (project / reports).resolve()
    dags = (project / dag_folder).resolve()
    command = [
        *(str(environment.tests_python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project / TESTS)),
        f"--junitxml={folder / 'dags-unit.xml'}",
        *(f"--cov={dags}", f"--cov-report=xml:{folder / 'dags-coverage.xml'}"),
    ]
    variables = {
        **environment.variables(dags, region),
        "PYTHONPATH": str(dags),
        "COVERAGE_FILE": str(environment.folder / "coverage"),
    }
    try:
        with step("run the tests in tests/dags"):
            answer = run(command, env=variables, timeout=SECONDS)
    except CommandError as error:
        out.print(error.output, markup=False)
        return False
    out.print(answer.strip().splitlines()[-1], markup=False)
    return True
