"""DAGs as their authors think of them, tasks, dependencies and schedule, and how two versions differ. Pure.

Only Airflow can tell what a DAG file defines, so the structures come from the test of the DAGs: `reports/dags.json`.

    {"format": 2,
     "files": {"orders.py": "SHA-256 of the file, of every one in the DAG folder"},
     "dags": {"dev": {"orders_daily": {"file": "orders.py", "schedule": "0 5 * * *",
                                       "tasks": {"ingest": {"operator": "EcsRunTaskOperator", "downstream": ["report"],
                                                            "containers": ["ingest"]}}}}}}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import PipelineError
from pipeline.release.shipped import is_shipped

STRUCTURES_FORMAT = 2  # as in `Structures.format`


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)  # whoever writes the file may say more than is read here


class Task(_Frozen):
    """A task: its operator's class, the tasks that wait for it, and the containers that it runs."""

    operator: str
    downstream: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


class Dag(_Frozen):
    """A DAG. `file` is below the DAG folder; `schedule` is as Airflow describes it, None when nothing starts it."""

    file: str
    schedule: str | None = None
    tasks: Mapping[str, Task] = {}

    @property
    def containers(self) -> frozenset[str]:
        """The containers its tasks run."""
        return frozenset(name for task in self.tasks.values() for name in task.containers)


class Structures(_Frozen):
    """Every DAG of a working tree, by environment, and the SHA-256 of every file in its DAG folder."""

    format: Literal[2] = 2
    files: Mapping[str, str]
    dags: Mapping[str, Mapping[str, Dag]]

    def is_of(self, files: Mapping[str, str]) -> bool:
        """Whether they were read beside these very files: path below the DAG folder → SHA-256.

        Every file counts, not only those that define DAGs: one may have come, gone or changed since that another reads.
        The tests see more files than are released.
        """
        return files == {path: sha256 for path, sha256 in self.files.items() if is_shipped(path)}


@dataclass(frozen=True)
class DagChange:
    """What is different about a DAG, line by line, in people's terms."""

    dag_id: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class DagDifference:
    """The DAGs of two releases compared."""

    added: tuple[DagChange, ...] = ()
    removed: tuple[DagChange, ...] = ()
    changed: tuple[DagChange, ...] = ()


def parse(content: bytes, *, where: str) -> Structures:
    """The structures in `reports/dags.json`.

    Raises:
        PipelineError: They are not of the format this version knows; the first wrong values are named.
    """
    try:
        return Structures.model_validate_json(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'document'}: {each['msg']}" for each in error.errors()]
        raise PipelineError(
            f"these are no DAG structures of format {STRUCTURES_FORMAT}: {'; '.join(problems[:5])}",
            where=where,
            mend="`pipeline test dags` writes it anew.",
        ) from None


def difference(before: Mapping[str, Dag], after: Mapping[str, Dag], touched: Mapping[str, str]) -> DagDifference:
    """How DAGs differ.

    Args:
        before: DAG id → structure in the running release.
        after: The same of the working tree.
        touched: DAG file → what changed in it or below it, for DAGs that look the same but run other code.
    """
    changed = []
    for dag_id in sorted(before.keys() & after.keys()):
        lines = tuple(_changes(before[dag_id], after[dag_id]))
        why = touched.get(after[dag_id].file)
        if not lines and why:
            lines = (f"same tasks and schedule; {why}",)
        if lines:
            changed.append(DagChange(dag_id, lines))
    return DagDifference(
        added=tuple(DagChange(dag, tuple(_whole(after[dag]))) for dag in sorted(after.keys() - before.keys())),
        removed=tuple(DagChange(dag, tuple(_whole(before[dag]))) for dag in sorted(before.keys() - after.keys())),
        changed=tuple(changed),
    )


def _whole(dag: Dag) -> Iterator[str]:
    yield f"in {dag.file}, schedule: {dag.schedule or 'none'}"
    yield f"{len(dag.tasks)} {'task' if len(dag.tasks) == 1 else 'tasks'}: {', '.join(_in_order(dag)) or 'none'}"


def _in_order(dag: Dag) -> list[str]:
    """Tasks as they run, as far as there is an order: each after those it waits for."""
    waits = {task: len(_upstream(dag, task)) for task in sorted(dag.tasks)}
    ordered: list[str] = []
    while ready := [task for task, left in waits.items() if left == 0 and task not in ordered]:
        ordered += ready
        for task in ready:
            for after in dag.tasks[task].downstream:
                if after in waits:
                    waits[after] -= 1
    return ordered + [task for task in waits if task not in ordered]


def _upstream(dag: Dag, task: str) -> set[str]:
    return {name for name, each in dag.tasks.items() if task in each.downstream}


def _changes(before: Dag, after: Dag) -> Iterator[str]:
    if before.schedule != after.schedule:
        yield f"schedule: {before.schedule or 'none'} → {after.schedule or 'none'}"
    if before.file != after.file:
        yield f"moved from {before.file} to {after.file}"
    for task in sorted(after.tasks.keys() - before.tasks.keys()):
        yield f"new task {task} ({after.tasks[task].operator}){_place(after, task)}"
    for task in sorted(before.tasks.keys() - after.tasks.keys()):
        yield f"task {task} ({before.tasks[task].operator}) is gone"
    for task in sorted(after.tasks.keys() & before.tasks.keys()):
        was, now = before.tasks[task].operator, after.tasks[task].operator
        if was != now:
            yield f"task {task}: {was} → {now}"
        ran, runs = (", ".join(each.tasks[task].containers) or "none" for each in (before, after))
        if ran != runs:
            yield f"{task}: container {ran} → {runs}"
        upstream_before, upstream_after = _upstream(before, task), _upstream(after, task)
        if more := upstream_after - upstream_before:
            yield f"{task} now waits for {', '.join(sorted(more))}"
        if fewer := (upstream_before - upstream_after) & after.tasks.keys():
            yield f"{task} no longer waits for {', '.join(sorted(fewer))}"


def _place(dag: Dag, task: str) -> str:
    upstream = sorted(_upstream(dag, task))
    return f", after {', '.join(upstream)}" if upstream else ", at the start"
