"""Verdicts for a person at a terminal or in a build's log."""

from collections.abc import Sequence

from rich.markup import escape

from pipeline.console import out
from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.junit import place, sentence
from pipeline.dagtest.rules import Verdict

DETAILS = 12  # lines of a traceback shown; the report has all of it


def print_verdicts(verdicts: Sequence[Verdict], files: Sequence[DagFile]) -> None:
    """Every problem with its place and its mending, then one line that counts."""
    for verdict in verdicts:
        for problem in verdict.problems:
            where = escape(place(verdict, problem))
            out.print(f"[bad]✗ {where}[/] {escape(sentence(problem))} [quiet]({verdict.rule})[/]")
            for line in problem.details.strip().splitlines()[-DETAILS:]:
                out.print(f"    [quiet]{escape(line)}[/]")
            out.print(f"  {escape(problem.mend)}")
    for file in files:
        if not file.failure and not file.dags:
            out.print(f"[quiet]- {escape(file.path)} holds no DAG[/]")
    dags = [dag for file in files for dag in file.dags]
    tasks = sum(len(dag.tasks) for dag in dags)
    bad = len({verdict.path for verdict in verdicts if verdict.problems})
    mark = "[bad]✗[/]" if bad else "[good]✓[/]"
    ending = f"{bad} with problems" if bad else "all good"
    out.print(f"{mark} {len(files)} files, {len(dags)} DAGs, {tasks} tasks: {ending}")
