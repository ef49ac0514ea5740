"""`pipeline test dags | stacks`: parse, call, print."""

import sys
from pathlib import Path

import click

from pipeline import settings
from pipeline.console import out, step
from pipeline.dagtest import authors_tests, junit
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.importing import SECONDS, import_files
from pipeline.dagtest.project_containers import tasks_and_bases
from pipeline.dagtest.rules import judge
from pipeline.dagtest.summary import print_verdicts
from pipeline.errors import PipelineError, UsageError
from pipeline.process import CommandError, run

DAGS = Path("dags")
REPORTS = Path("reports")
WRITTEN = ("dags.xml", "dags-unit.xml", "dags-coverage.xml")


@click.command("dags")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="How long importing one file may take.",
)
def dags(paths: tuple[Path, ...], seconds: float) -> None:
    """Import DAG files as MWAA does and check them; then run the tests in tests/dags.

    PATHS are files or folders, the DAG folder by default; with PATHS the tests in tests/dags are left out. Reports are
    written to reports/dags.xml and reports/dags-unit.xml.
    """
    project = Path.cwd()
    configured = settings.load(project)
    missing = [str(path) for path in (paths or (DAGS,)) if not path.exists()]
    if missing:
        raise UsageError(f"no such file or folder: {', '.join(missing)}")
    for report in WRITTEN:  # one of an earlier run would speak for this one if this one ends early
        (REPORTS / report).unlink(missing_ok=True)
    containers, bases = tasks_and_bases(project / "containers")
    environment = ensure(project, configured.airflow.version)
    REPORTS.mkdir(exist_ok=True)
    with step("import the DAG files"):
        files = import_files(environment, project, project / DAGS, paths or (DAGS,), seconds)
    verdicts = judge(files, containers, bases)
    (REPORTS / "dags.xml").write_bytes(junit.report(verdicts, "dags"))
    print_verdicts(verdicts, files)
    wrong = [f"{len(bad)} of {len(files)} DAG files"] if (bad := {v.path for v in verdicts if v.problems}) else []
    if not paths and authors_tests.exist(project) and not authors_tests.run_them(environment, project, DAGS, REPORTS):
        wrong.append("the tests in tests/dags")
    if wrong:
        raise PipelineError(
            f"not ready for Airflow: {' and '.join(wrong)}", where=f"Airflow {configured.airflow.version}"
        )


@click.command("stacks")
def stacks() -> None:
    """Run the templates' own checks (tests/infra); the report is reports/stacks.xml."""
    REPORTS.mkdir(exist_ok=True)
    with step("check the stacks"):
        try:
            answer = run([sys.executable, "-m", "pytest", "-q", "tests/infra", f"--junitxml={REPORTS / 'stacks.xml'}"])
        except CommandError as error:
            out.print(error.output, markup=False)
            raise PipelineError("the checks of the stacks failed", where="tests/infra") from None
    out.print(answer.strip().splitlines()[-1], markup=False)
