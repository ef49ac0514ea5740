"""What an upgrade of Airflow would break: the verdicts of two versions, compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.dagtest.rules import Problem, Verdict

# What differs between two versions though the problem is the same: Airflow's version, and where Airflow is.
_OF_A_VERSION = re.compile(r"\S*/\.airflow/[0-9a-f]{16}/[^\s:'\"]*(?::\d+)?|(?<=Airflow )\d+(?:\.\d+)+|0x[0-9a-f]+")


@dataclass(frozen=True)
class Comparison:
    """Two tests of the same files.

    Attributes:
        breaking: What fails with the new version only: verdicts with those problems alone.
        warnings: The same of what only warns.
        before: Problems that the version of now has as well, and those of files that it cannot import.
    """

    breaking: tuple[Verdict, ...]
    warnings: tuple[Verdict, ...]
    before: int


def compare(now: Sequence[Verdict], then: Sequence[Verdict]) -> Comparison:
    """What `then` finds and `now` does not.

    now                  then      is
    good                 fails     breaking
    warns                fails     breaking
    fails                fails     before, where it says the same; else breaking
    cannot be imported   anything  before: the file is broken as it is, whatever the words
    anything else        warns     a warning, where `now` does not say the same
    """
    broken = {verdict.path for verdict in now if verdict.fails and verdict.rule == "imports"}
    known = {_key(verdict, problem): verdict.fails for verdict in now for problem in verdict.problems}
    breaking: list[Verdict] = []
    warnings: list[Verdict] = []
    before = 0
    for verdict in then:
        new = []
        for problem in verdict.problems:
            failed = known.get(_key(verdict, problem))
            if verdict.path not in broken and (failed is None or (verdict.fails and not failed)):
                new.append(problem)
            else:
                before += 1
        if new:
            (breaking if verdict.fails else warnings).append(replace(verdict, problems=tuple(new)))
    return Comparison(tuple(breaking), tuple(warnings), before)


def _key(verdict: Verdict, problem: Problem) -> tuple[str, ...]:
    """The same for the same problem in two versions of Airflow."""
    return verdict.path, verdict.rule, _OF_A_VERSION.sub("…", problem.what), problem.dag, problem.task
