"""Rules about tasks: where they work, what they ask a container to do, what their templates say."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from pipeline.dagtest.facts import DagFile, Overrides, Task
from pipeline.dagtest.rules.verdicts import Problem, Project

# Operators that do a task's work on the Airflow worker, and those derived from them that only decide what runs next.
WORK: Final = ("BashOperator", "PythonOperator")
DECIDE: Final = ("BranchPythonOperator", "ShortCircuitOperator", "BranchMixIn")
LATER: Final = "later"  # the key that stands for a value only a run knows


def off_workers(file: DagFile, project: Project) -> Iterator[Problem]:
    """The work is done in containers, not on Airflow's workers.

    task                                        problem
    any operator but those of Bash and Python   none
    decides what runs next                      none
    allowed: `DAG.TASK` matches `on_workers`    none
    Bash or Python, @task too                   it works on a worker
    """
    for dag in file.dags:
        for task in dag.tasks:
            name = f"{dag.dag_id}.{task.task_id}"
            base = next((base for base in task.bases if base in WORK), "")
            if not base or set(task.bases) & set(DECIDE):
                continue
            if any(fnmatchcase(name, pattern) for pattern in project.demands.on_workers):
                continue
            yield Problem(
                f"it does its work on an Airflow worker ({base}), which all DAGs share",
                f'Do it in a container: fargate_task("CONTAINER", command=[...]); or allow {name!r} in on_workers.',
                task.line,
                dag.dag_id,
                task.task_id,
            )


def container_exists(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every container task names containers of this project that are tasks.

    the task overrides            problem
    a container that is a task    none
    a base of others              it cannot run as a task
    any other name                it does not exist; those that do are shown
    no container                  its command goes nowhere
    another task's result         none: which, only a run knows
    what only a run knows         none
    """
    for dag in file.dags:
        for task, overrides in _container_tasks(dag.tasks):
            if not overrides.containers:
                yield Problem(
                    "the task runs a container but overrides none, so it has no command",
                    'Use fargate_task("CONTAINER", command=[...]).',
                    task.line,
                    dag.dag_id,
                    task.task_id,
                )
            for entry in overrides.containers:
                name = entry.get("name", "") if isinstance(entry, Mapping) else ""
                if _is_later(entry) or _is_later(name) or name in project.containers:
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


def container_command(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """What a container task overrides has the shape that ECS takes (RunTask, `ContainerOverride`).

    part                              shape
    command                           a list of at least one text
    environment                       a list of {"name": text, "value": text}
    cpu, memory, memoryReservation    whole numbers
    any other                         ECS knows it, whatever it holds
    """
    for dag in file.dags:
        for task, overrides in _container_tasks(dag.tasks):
            for what, mend in _misshapes(overrides):
                yield Problem(what, mend, task.line, dag.dag_id, task.task_id)


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


KNOWN_PARTS: Final = frozenset(
    {"name", "command", "environment", "environmentFiles", "cpu", "memory", "memoryReservation", "resourceRequirements"}
)


def _container_tasks(tasks: tuple[Task, ...]) -> Iterator[tuple[Task, Overrides]]:
    return ((task, task.overrides) for task in tasks if task.overrides is not None and _is_written_out(task.overrides))


def _is_written_out(overrides: Overrides) -> bool:
    """Whether the file says which containers are overridden, and not the result of another task."""
    entries = overrides.value.get("containerOverrides") if isinstance(overrides.value, Mapping) else None
    return overrides.is_known and not _is_later(overrides.value) and not _is_later(entries)


def _misshapes(overrides: Overrides) -> Iterator[tuple[str, str]]:
    for entry in overrides.containers:
        if isinstance(entry, Mapping):
            if not _is_later(entry):
                yield from _misshapes_of(entry)
        else:
            yield f"an entry of containerOverrides is {entry!r}", 'Write {"name": ..., "command": [...]}.'


def _misshapes_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in sorted(set(entry) - KNOWN_PARTS):
        yield f"ECS knows no override {part!r}", f"It knows: {', '.join(sorted(KNOWN_PARTS))}."
    command = entry.get("command")
    if isinstance(command, str):
        yield f"its command is the text {command!r}", f"Write a list: {command.split()}."
    elif not command:
        yield "it overrides no command", "Say what the container is to do: command=[...]."
    elif not _is_list_of(command, str):
        strange = [item for item in command if not isinstance(item, str)] if isinstance(command, list) else command
        yield f"its command holds what is no text: {strange!r}", "Write every argument as a text: str(...)."
    environment = entry.get("environment", [])
    if not (_is_later(environment) or (isinstance(environment, list) and all(map(_is_variable, environment)))):
        yield f"its environment is {environment!r}", 'Write [{"name": "NAME", "value": "text"}, ...].'
    for part in ("cpu", "memory", "memoryReservation"):
        if not isinstance(entry.get(part, 0), int) and not _is_later(entry[part]):
            yield f"its {part} is {entry[part]!r}", "Write a whole number (CPU units, MiB)."


def _is_later(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {LATER}


def _is_list_of(value: Any, kind: type) -> bool:
    return _is_later(value) or (
        isinstance(value, list) and all(isinstance(item, kind) or _is_later(item) for item in value)
    )


def _is_variable(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(
        isinstance(entry.get(part), str) or _is_later(entry.get(part)) for part in ("name", "value")
    )
