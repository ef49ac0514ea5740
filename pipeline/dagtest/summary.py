"""Verdicts for a person at a terminal or in a build's log."""

from collections.abc import Sequence

from rich.markup import escape

from pipeline.console import out
from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.junit import place, sentence
from pipeline.dagtest.rules import RULES, Problem, Verdict
from pipeline.dagtest.upgrade import Comparison

DETAILS = 12  # lines of a traceback shown; the report has all of it


def print_verdicts(verdicts: Sequence[Verdict], files: Sequence[DagFile]) -> None:
    """Every problem with its place and its mending, warnings first, then one line that counts."""
    print_problems(verdicts)
    for file in files:
        if not file.failure and not file.dags:
            out.print(f"[quiet]- {escape(file.path)} holds no DAG[/]")
    dags = [dag for file in files for dag in file.dags]
    tasks = sum(len(dag.tasks) for dag in dags)
    bad = len({verdict.path for verdict in verdicts if verdict.fails})
    warnings = sum(len(verdict.problems) for verdict in verdicts if not verdict.fails)
    mark = "[bad]✗[/]" if bad else "[good]✓[/]"
    ending = f"{bad} with problems" if bad else "all good"
    also = f", {warnings} warnings" if warnings else ""
    kept = sum(file.is_kept for file in files)
    unchanged = f" ({kept} unchanged since they were imported)" if kept else ""
    out.print(f"{mark} {len(files)} files, {len(dags)} DAGs, {tasks} tasks: {ending}{also}{unchanged}")


def print_problems(verdicts: Sequence[Verdict]) -> None:
    """Every problem, warnings first: what fails stays in sight."""
    for verdict in sorted(verdicts, key=lambda verdict: verdict.fails):
        for problem in verdict.problems:
            _print_problem(verdict, problem)


def print_comparison(comparison: Comparison, now: str, then: str) -> None:
    """What an upgrade would break, then one line that counts."""
    print_problems((*comparison.warnings, *comparison.breaking))
    broken = len({verdict.path for verdict in comparison.breaking})
    warned = sum(len(verdict.problems) for verdict in comparison.warnings)
    mark = "[bad]✗[/]" if broken else "[good]✓[/]"
    already = f"; {comparison.before} problems are there with {now}, too" if comparison.before else ""
    out.print(f"{mark} from Airflow {now} to {then}: {broken} DAG files break, {warned} new warnings{already}")


def print_rules() -> None:
    """Every rule: its level unless the settings say otherwise, and what it demands."""
    for name, rule in RULES.items():
        first = (rule.judge.__doc__ or "").partition("\n")[0]
        out.print(f"{name:<18} [quiet]{rule.level:<5}[/] {escape(first)}")


def _print_problem(verdict: Verdict, problem: Problem) -> None:
    where = escape(place(verdict, problem))
    mark = "[bad]✗[/]" if verdict.fails else "[busy]![/]"
    out.print(f"{mark} [bold]{where}[/] {escape(sentence(problem))} [quiet]({verdict.rule})[/]")
    for line in problem.details.strip().splitlines()[-DETAILS:]:
        out.print(f"    [quiet]{escape(line)}[/]")
    out.print(f"  {escape(problem.mend)}")
