"""`pipeline test dags | stacks`: parse, call, print."""

import sys
from pathlib import Path

import click

from pipeline import settings
from pipeline.console import out, step
from pipeline.dagtest import authors_tests, junit
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.summary import print_rules, print_verdicts
from pipeline.dagtest.testing import DAGS, run_test
from pipeline.errors import PipelineError, UsageError
from pipeline.process import CommandError, run

REPORTS = Path("reports")
WRITTEN = ("dags.xml", "dags-unit.xml", "dags-coverage.xml")


@click.command("dags")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--again", is_flag=True, help="Import every file, even those whose result is known from an earlier run.")
@click.option("--rules", is_flag=True, help="Tell the rules and what they do, and test nothing.")
def dags(paths: tuple[Path, ...], again: bool, rules: bool) -> None:
    """Import DAG files as MWAA does and check them; then run the tests in tests/dags.

    PATHS are files or folders, the DAG folder by default; with PATHS the tests in tests/dags are left out. Reports are
    written to reports/dags.xml, reports/dags-unit.xml and reports/dags-coverage.xml.
    """
    if rules:
        print_rules()
        return
    project = Path.cwd()
    configured = settings.load(project)
    missing = [str(path) for path in (paths or (DAGS,)) if not path.exists()]
    if missing:
        raise UsageError(f"no such file or folder: {', '.join(missing)}")
    for report in WRITTEN:  # one of an earlier run would speak for this one if this one ends early
        (REPORTS / report).unlink(missing_ok=True)
    environment = ensure(project, configured.airflow.version)
    REPORTS.mkdir(exist_ok=True)
    with step("import the DAG files"):
        outcome = run_test(environment, project, configured, paths or (DAGS,), again=again)
    (REPORTS / "dags.xml").write_bytes(junit.report(outcome.verdicts, f"dags, Airflow {environment.version}"))
    print_verdicts(outcome.verdicts, outcome.files)
    bad = {verdict.path for verdict in outcome.verdicts if verdict.fails}
    wrong = [f"{len(bad)} of {len(outcome.files)} DAG files"] if bad else []
    if (
        not paths
        and authors_tests.exist(project)
        and not authors_tests.run_them(environment, project, DAGS, REPORTS, configured.region)
    ):
        wrong.append("the tests in tests/dags")
    if wrong:
        raise PipelineError(f"not ready for Airflow: {' and '.join(wrong)}", where=f"Airflow {environment.version}")


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
