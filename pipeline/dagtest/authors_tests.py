"""The tests that the authors of DAGs write themselves, in `tests/dags`, run by pytest where Airflow is."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.console import out, step
from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.junit import instead
from pipeline.process import CommandError, run

TESTS = Path("tests/dags")
NAMES = ("test_*.py", "*_test.py")  # as pytest finds them
SECONDS = 1800.0


def exist(project: Path) -> bool:
    """Whether there are any."""
    return any(path for name in NAMES for path in (project / TESTS).rglob(name))


def run_them(
    environment: AirflowEnvironment,
    project: Path,
    dag_folder: Path,
    reports: Path,
    *,
    region: str,
    options: Mapping[str, str],
    variables: Mapping[str, str],
) -> bool:
    """Run them, with none of this machine's environment variables; say what failed.

    Writes `dags-unit.xml` (JUnit) and `dags-coverage.xml` (Cobertura, of the DAG folder) into the reports.

    Args:
        environment: The Airflow to run them with.
        project: The project's folder.
        dag_folder: From there.
        reports: From there.
        region: Of the environment that the DAGs are for.
        options: Its `airflow_options`, as environment variables.
        variables: Environment variables that DAG files find when they are imported.

    Returns:
        Whether all of them passed.
    """
    folder = (project / reports).resolve()
    report = folder / "dags-unit.xml"
    dags = (project / dag_folder).resolve()
    command = [
        *(str(environment.tests_python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project / TESTS)),
        f"--junitxml={report}",
        *(f"--cov={dags}", f"--cov-report=xml:{folder / 'dags-coverage.xml'}"),
    ]
    known = {
        **environment.variables(dags, region, options),
        **variables,
        "PYTHONPATH": str(dags),
        "COVERAGE_FILE": str(environment.folder / "coverage"),
    }
    try:
        with step("run the tests in tests/dags"):
            answer = run([*environment.alone(known), *command], timeout=SECONDS)
    except CommandError as error:
        out.print(error.output, markup=False)
        if not report.exists():  # a conftest.py that cannot be imported, most of the time
            lines = error.last_lines.splitlines()
            report.write_bytes(instead(str(TESTS), "pytest ended before any test was run", lines))
        return False
    out.print(answer.strip().splitlines()[-1], markup=False)
    return True
