"""Rules about tasks: where they work, what they ask a container to do, what their templates say."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from pipeline.dagtest.facts import DagFile, Overrides, Task
from pipeline.dagtest.rules.verdicts import Problem, Project

# Operators that do a task's work on the Airflow worker, and those derived from them that only decide what runs next.
WORK: Final = ("BashOperator", "PythonOperator")
DECIDE: Final = ("BranchPythonOperator", "ShortCircuitOperator", "BranchMixIn")
FOREIGN: Final = "If it is another project's, name the file in dag_tests.exceptions in cdk.json."
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
    no container                  which one runs, and what it does, is not said
    another task's result         none: which, only a run knows
    a name with a template in it  none, as above
    what only a run knows         none
    """
    for dag in file.dags:
        for task, overrides in _container_tasks(dag.tasks):
            if not overrides.containers:
                yield Problem(
                    "the task names no container and no command: what it runs is left to its task definition",
                    f'Use fargate_task("CONTAINER", command=[...]). {FOREIGN}',
                    task.line,
                    dag.dag_id,
                    task.task_id,
                )
            for entry in overrides.containers:
                name = entry.get("name", "") if isinstance(entry, Mapping) else ""
                if _is_later(entry) or _is_later(name) or _is_rendered(name) or name in project.containers:
                    continue
                known = ", ".join(sorted(project.containers)) or "none"
                what, mend = (
                    (f"the container {name!r} is a base of others", f"Remove `task = false` from containers/{name}.")
                    if name in project.bases
                    else (
                        f"there is no container {name!r}",
                        f"Correct the name, or add the folder containers/{name}. {FOREIGN}",
                    )
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


# Airflow's "Upgrading to Airflow 3": what templates had before → what they use now
GONE_IN_3: Final = {
    "execution_date": "logical_date",
    "prev_execution_date_success": "prev_data_interval_start_success",
    "prev_execution_date": "prev_data_interval_start_success",
    "next_execution_date": "data_interval_end",
    "prev_ds": "macros.ds_add(ds, -1)",
    "next_ds": "data_interval_end | ds",
    "prev_ds_nodash": "macros.ds_add(ds, -1) | replace('-', '')",
    "next_ds_nodash": "data_interval_end | ds_nodash",
    "yesterday_ds": "macros.ds_add(ds, -1)",
    "tomorrow_ds": "macros.ds_add(ds, 1)",
    "yesterday_ds_nodash": "macros.ds_add(ds, -1) | replace('-', '')",
    "tomorrow_ds_nodash": "macros.ds_add(ds, 1) | replace('-', '')",
    "conf": "dag_run.conf, or params",
    "triggering_dataset_events": "triggering_asset_events",
}
OF_INTERVALS: Final = frozenset({"data_interval_start", "data_interval_end", "logical_date", "ds", "ts"})
_UNDEFINED: Final = re.compile(r"'(\w+)' is undefined$")


def _mend_template(message: str, airflow: str, timetable: str) -> str:
    """How to mend a template.

    what is missing                          mend
    a file                                   where templates are looked for
    a name that Airflow 3 took away          its successor
    a name of data intervals                 assets start the run, or it is a partition's
    any other name, a filter, a bracket      correct it
    """
    if "TemplateNotFound" in message:
        return "Put the file beside the DAG's, or its folder into template_searchpath."
    undefined = _UNDEFINED.search(message)
    name = undefined[1] if undefined else ""
    if name in GONE_IN_3 and not airflow.startswith("2."):
        return f"Airflow 3 has no {name}; use {GONE_IN_3[name]}."
    if name.partition("_nodash")[0] in OF_INTERVALS and timetable == "CronPartitionTimetable":
        return "A run of a partition has no data interval; use partition_date, partition_key or dag_run.run_after."
    if name.partition("_nodash")[0] in OF_INTERVALS:
        return "A run that assets start has no data interval; use dag_run.run_after or triggering_asset_events."
    return "Correct the name or the filter."


def templates_render(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every template renders with a sample data interval."""
    for dag in file.dags:
        for template in dag.failing_templates:
            yield Problem(
                f"the template in {template.field} does not render: {template.message}",
                _mend_template(template.message, project.airflow, dag.schedule.timetable if dag.schedule else ""),
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


def _is_rendered(text: object) -> bool:
    return isinstance(text, str) and ("{{" in text or "{%" in text)


def _is_list_of(value: Any, kind: type) -> bool:
    return _is_later(value) or (
        isinstance(value, list) and all(isinstance(item, kind) or _is_later(item) for item in value)
    )


def _is_variable(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(
        isinstance(entry.get(part), str) or _is_later(entry.get(part)) for part in ("name", "value")
    )
