"""What must hold of DAG files. Each rule is a pure function: a file and its project in, problems out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.dagtest.facts import DagFile

IMPORTS: Final = "imports"


@dataclass(frozen=True)
class Project:
    """What rules know beside the file they look at.

    Attributes:
        containers: The containers that are tasks.
        bases: The containers that are bases of others only.
        files_of: DAG id → the files that hold a DAG of that id.
    """

    containers: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    files_of: Mapping[str, Sequence[str]] = field(default_factory=dict)


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
    """

    path: str
    rule: str
    problems: tuple[Problem, ...] = ()
    skipped: str = ""
    seconds: float = 0.0


Rule = Callable[[DagFile, Project], Iterator[Problem]]


def imports(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """Airflow imports the file.

    import           problem
    succeeded        none
    raised           the error's last line, with the line in this file
    timed out        that, with the limit
    process ended    how: its exit code or signal
    """
    if file.failure:
        yield Problem(
            file.failure.message,
            "Airflow would show this as an import error and run none of the file's DAGs.",
            file.failure.line,
            details=file.failure.details,
        )


def duplicate_ids(file: DagFile, project: Project) -> Iterator[Problem]:
    """No other file has a DAG of the same id: Airflow would show now one, now the other."""
    for dag in file.dags:
        others = sorted(set(project.files_of.get(dag.dag_id, ())) - {file.path})
        if others:
            yield Problem(
                f"there is a DAG {dag.dag_id!r} in {', '.join(others)}, too",
                "Give one of them another dag_id, or remove it.",
                dag.line,
                dag.dag_id,
            )


def container_exists(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every container task names containers of this project that are tasks.

    the task overrides            problem
    a container that is a task    none
    a base of others              it cannot run as a task
    any other name                it does not exist; the nearest names are shown
    no container                  its command goes nowhere
    """
    for dag in file.dags:
        for task in dag.tasks:
            if task.containers == ():
                yield Problem(
                    "the task runs a container but overrides none, so it has no command",
                    'Use fargate_task("CONTAINER", command=[...]).',
                    task.line,
                    dag.dag_id,
                    task.task_id,
                )
            for name in task.containers or ():
                if name in project.containers:
                    continue
                known = ", ".join(sorted(project.containers)) or "none"
                what, mend = (
                    (f"the container {name!r} is a base of others", f"Remove `task = false` from containers/{name}.")
                    if name in project.bases
                    else (f"there is no container {name!r}", f"Correct the name, or add the folder containers/{name}.")
                )
                yield Problem(
                    f"{what}; containers that run as tasks: {known}", mend, task.line, dag.dag_id, task.task_id
                )


def templates_render(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """Every template renders with a sample data interval."""
    for dag in file.dags:
        for template in dag.failing_templates:
            yield Problem(
                f"the template in {template.field} does not render: {template.message}",
                "Correct the name or the filter. A DAG that assets trigger has no data interval.",
                template.line,
                dag.dag_id,
                template.task_id,
            )


# In the order of the report. The first one decides whether the others apply.
RULES: Final[Mapping[str, Rule]] = {
    IMPORTS: imports,
    "duplicate-ids": duplicate_ids,
    "container-exists": container_exists,
    "templates-render": templates_render,
}


def judge(
    files: Sequence[DagFile], containers: frozenset[str] = frozenset(), bases: frozenset[str] = frozenset()
) -> tuple[Verdict, ...]:
    """Every rule's verdict on every file, files by path and rules in their order.

    the file            `imports`    other rules
    was not imported    fails        are skipped
    holds no DAG        is good      are skipped, and say so
    holds DAGs          is good      judge
    """
    files_of: dict[str, list[str]] = {}
    for file in files:
        for dag in file.dags:
            files_of.setdefault(dag.dag_id, []).append(file.path)
    project = Project(containers, bases, files_of)
    return tuple(
        _verdict(file, name, rule, project)
        for file in sorted(files, key=lambda file: file.path)
        for name, rule in RULES.items()
    )


def _verdict(file: DagFile, name: str, rule: Rule, project: Project) -> Verdict:
    if name == IMPORTS:
        return Verdict(file.path, name, tuple(rule(file, project)), seconds=file.seconds)
    if file.failure:
        return Verdict(file.path, name, skipped="the file was not imported")
    if not file.dags:
        return Verdict(file.path, name, skipped="the file holds no DAG; if it never will, name it in .airflowignore")
    return Verdict(file.path, name, tuple(rule(file, project)))
