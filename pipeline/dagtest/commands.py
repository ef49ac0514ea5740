"""`pipeline test dags | requirements | stacks`: parse, call, print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipeline import settings
from pipeline.console import out, step
from pipeline.dagtest import authors_tests, installing, junit, structures
from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure, versions
from pipeline.dagtest.summary import print_comparison, print_problems, print_rules, print_verdicts
from pipeline.dagtest.testing import DAGS, Outcome, airflow_options, run_test, variables
from pipeline.dagtest.upgrade import Comparison, compare
from pipeline.errors import PipelineError, UsageError
from pipeline.junit import instead
from pipeline.process import CommandError, run

REPORTS = Path("reports")
WRITTEN = ("dags.json", "dags.xml", "dags-unit.xml", "dags-coverage.xml")


@click.command("dags")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--airflow", "version", metavar="VERSION", help="Rehearse an upgrade: what would break with this version?"
)
@click.option("--again", is_flag=True, help="Import every file, even those whose result is known from an earlier run.")
@click.option("--rules", is_flag=True, help="Tell the rules and what they do, and test nothing.")
def dags(paths: tuple[Path, ...], version: str | None, again: bool, rules: bool) -> None:
    """Import DAG files as MWAA does and check them; then run the tests in tests/dags.

    PATHS are files or folders, the DAG folder by default; with PATHS the tests in tests/dags are left out. Reports are
    written to reports/dags.xml, reports/dags-unit.xml and reports/dags-coverage.xml, and what the DAGs are to
    reports/dags.json.
    """
    if rules:
        print_rules()
        return
    project = Path.cwd()
    configured = settings.load(project)
    missing = [str(path) for path in (paths or (DAGS,)) if not path.exists()]
    if missing:
        raise UsageError(f"no such file or folder: {', '.join(missing)}")
    _remove(*WRITTEN)
    with _reported("dags.xml", "dags"):
        _test_dags(project, configured, paths, version or configured.airflow.version, again=again)


def _test_dags(
    project: Path, configured: settings.Settings, paths: tuple[Path, ...], wanted: str, *, again: bool
) -> None:
    is_rehearsal = wanted != configured.airflow.version
    wrong = []
    if is_rehearsal:
        environment, refused = _rehearsed(project, wanted)
        wrong += ["dags/requirements.txt"] if refused else []
    else:
        environment = ensure(project, wanted)
    outcome = _tested(environment, project, configured, paths, again=again)
    (REPORTS / "dags.xml").write_bytes(junit.report(outcome.verdicts, f"dags, {environment.name}"))
    if is_rehearsal:
        now = _tested(ensure(project, configured.airflow.version), project, configured, paths, again=again)
        wrong += _compared(compare(now.verdicts, outcome.verdicts), configured.airflow.version, wanted)
    else:
        if not paths:
            found = structures.document(outcome.environments, outcome.checksums, outcome.folder)
            (REPORTS / "dags.json").write_bytes(found)
        print_verdicts(outcome.verdicts, outcome.files)
        bad = {verdict.path for verdict in outcome.verdicts if verdict.fails}
        wrong += [f"{len(bad)} of {len(outcome.files)} DAG files"] if bad else []
    *_, last = configured.environments
    if (
        not paths
        and authors_tests.exist(project)
        and not authors_tests.run_them(
            environment,
            project,
            DAGS,
            REPORTS,
            region=configured.region_of(last),
            options=airflow_options(configured, last),
            variables=variables(configured.dag_tests),
        )
    ):
        wrong.append("the tests in tests/dags")
    if wrong:
        raise PipelineError(f"not ready for Airflow: {', '.join(wrong)}", where=f"Airflow {environment.version}")


@contextmanager
def _reported(name: str, suite: str) -> Iterator[None]:
    """What ends a test before it has a report is in a report all the same: its readers look nowhere else."""
    try:
        yield
    except PipelineError as error:
        path = REPORTS / name
        if not path.exists() and not isinstance(error, UsageError):  # of which nobody but who typed it need know
            path.write_bytes(instead(suite, error.what.partition("\n")[0], str(error).splitlines()))
        raise


def _remove(*reports: str) -> None:
    """Remove reports of an earlier run: they would speak for this one if this one ends early."""
    for report in reports:
        (REPORTS / report).unlink(missing_ok=True)
    REPORTS.mkdir(exist_ok=True)


def _tested(
    environment: AirflowEnvironment,
    project: Path,
    configured: settings.Settings,
    paths: tuple[Path, ...],
    *,
    again: bool,
) -> Outcome:
    with step(f"import the DAG files with {environment.name}"):
        return run_test(environment, project, configured, paths, again=again)


def _rehearsed(project: Path, version: str) -> tuple[AirflowEnvironment, bool]:
    """An environment of another version; without requirements.txt, if that cannot be installed there."""
    try:
        return ensure(project, version), False
    except UsageError as error:
        raise UsageError(error.what, where="--airflow", mend=f"Choose one of: {', '.join(versions())}.") from None
    except PipelineError as error:
        out.print(str(error), markup=False)
        return ensure(project, version, with_requirements=False), True


def _compared(comparison: Comparison, now: str, then: str) -> list[str]:
    print_comparison(comparison, now, then)
    broken = {verdict.path for verdict in comparison.breaking}
    return [f"{len(broken)} DAG files break"] if broken else []


@click.command("requirements")
@click.option("--airflow", "version", metavar="VERSION", help="Another version of Airflow than the configured one.")
@click.option("--run-startup", is_flag=True, help="Run startup.sh on this machine, within MWAA's five minutes.")
def requirements(version: str | None, run_startup: bool) -> None:
    """Check what MWAA would install and run: dags/requirements.txt, plugins/ and startup.sh.

    The report is reports/requirements.xml.
    """
    project = Path.cwd()
    configured = settings.load(project)
    _remove("requirements.xml")
    wanted = version or configured.airflow.version
    *_, last = configured.environments
    with _reported("requirements.xml", "requirements"):
        verdicts = installing.run_test(
            project,
            wanted,
            configured.region_of(last),
            airflow_options(configured, last),
            variables(configured.dag_tests),
            run_startup=run_startup,
        )
    (REPORTS / "requirements.xml").write_bytes(junit.report(verdicts, f"requirements, Airflow {wanted}"))
    print_problems(verdicts)
    for verdict in verdicts:
        if verdict.skipped:
            out.print(f"- {verdict.path}, {verdict.rule}: {verdict.skipped}", markup=False)
    bad = list(dict.fromkeys(verdict.path for verdict in verdicts if verdict.fails))
    if bad:
        raise PipelineError(f"not ready for MWAA: {', '.join(bad)}", where=f"Airflow {wanted}")
    checked = ", ".join(dict.fromkeys(verdict.path for verdict in verdicts)) or "there is nothing to check"
    out.print(f"[good]✓[/] {checked}: Airflow {wanted} takes it")


@click.command("stacks")
def stacks() -> None:
    """Run the templates' own checks (tests/infra); the report is reports/stacks.xml.

    That app.py synthesizes is left to `cdk synth`, the pipeline's first step.
    """
    _remove("stacks.xml")
    with _reported("stacks.xml", "stacks"), step("check the stacks"):
        try:
            report = f"--junitxml={REPORTS / 'stacks.xml'}"
            answer = run([sys.executable, "-m", "pytest", "-q", "-m", "not app", "tests/infra", report])
        except CommandError as error:
            out.print(error.output, markup=False)
            raise PipelineError("the checks of the stacks failed", where="tests/infra", mend=error.last_lines) from None
    out.print(answer.strip().splitlines()[-1], markup=False)
