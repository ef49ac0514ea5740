"""What rules are given and what they say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.dagtest.facts import DagFile, Remark
from pipeline.settings import DagTests

Level = Literal["deny", "warn", "off"]


@dataclass(frozen=True)
class Project:
    """What rules know beside the file they look at.

    Attributes:
        airflow: The version that the files are tested for.
        containers: The containers that are tasks.
        bases: The containers that are bases of others only.
        demands: What the team demands, from cdk.json.
        files_of: DAG id → the files that hold a DAG of that id.
        imported: Files that another DAG file imports.
        old_names: File → Airflow's names that it should no longer use, as ruff found them, each `CODE sentence`.
    """

    airflow: str = "3.3.1"
    containers: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    demands: DagTests = field(default_factory=DagTests)
    files_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    imported: frozenset[str] = frozenset()
    old_names: Mapping[str, Sequence[Remark]] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, and how to mend it."""

    what: str
    mend: str
    line: int | None = None
    dag: str = ""
    task: str = ""
    details: str = ""


@dataclass(frozen=True)
class Verdict:
    """One rule's judgement of one file.

    Attributes:
        path: The file.
        rule: The rule's name.
        problems: None of them means good.
        skipped: Why the rule did not apply; "" when it did.
        seconds: What the judgement cost: importing, for the rule `imports`.
        level: `deny` fails the test, `warn` only tells.
    """

    path: str
    rule: str
    problems: tuple[Problem, ...] = ()
    skipped: str = ""
    seconds: float = 0.0
    level: Level = "deny"

    @property
    def fails(self) -> bool:
        """Whether it keeps the commit from being deployed."""
        return bool(self.problems) and self.level == "deny"


Judge = Callable[[DagFile, Project], Iterator[Problem]]
