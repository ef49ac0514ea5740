"""Rules about DAGs: their ids, their order, when they run and who answers for them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.rules.verdicts import Problem, Project


def duplicate_ids(file: DagFile, project: Project) -> Iterator[Problem]:
    """No other DAG has the same id.

    the other is in    Airflow shows
    another file       now one, now the other
    the same file      one of them, and says nothing
    """
    for dag in file.dags:
        for line in dag.twins:
            yield Problem(
                f"there is another DAG {dag.dag_id!r} in this file{'' if line is None else f', at line {line}'}: "
                "Airflow takes one of them and says nothing",
                "Give one of them another dag_id, or remove it.",
                dag.line,
                dag.dag_id,
            )
        others = sorted(set(project.files_of.get(dag.dag_id, ())) - {file.path})
        if others:
            yield Problem(
                f"there is a DAG {dag.dag_id!r} in {', '.join(others)}, too",
                "Give one of them another dag_id, or remove it.",
                dag.line,
                dag.dag_id,
            )


def uncalled_dags(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every function that is decorated with `@dag` is called: otherwise there is no DAG.

    a function                                      problem
    that something in the file calls or hands on    none
    in a file that another DAG file imports         none: that one may call it
    any other                                       Airflow never sees its DAG
    """
    if file.path not in project.imported:
        for name, line in file.uncalled.items():
            what = f"nothing calls {name}(), which is decorated with @dag, so Airflow will see no DAG of it"
            yield Problem(what, f"End the file with a call: {name}()", line)


def default_args(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """Every name in a DAG's `default_args` is an argument of one of its operators: Airflow ignores the others."""
    for dag in file.dags:
        for name, meant in dag.unused_arguments.items():
            mend = f"Did you mean {meant!r}?" if meant else "Take it out."
            if meant == "DAG":
                mend = f"Give it to the DAG itself: DAG(..., {name}=...)."
            what = f"default_args has {name!r}, which none of its operators takes: it has no effect"
            yield Problem(what, mend, dag.line, dag.dag_id)


def cycles(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """No task waits for itself, however many others are between."""
    for cycle in file.cycles:
        yield Problem(
            f"tasks wait for each other: {' → '.join(cycle.tasks)}",
            "Remove one of these dependencies.",
            cycle.line or (file.failure.line if file.failure else None),
            cycle.dag_id,
        )


def schedules(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """The next runs can be computed.

    schedule                       problem
    none, or by assets only        none
    computed                       none
    raises                         the error
    no run to come, and some were  none: it ran
    no run, and the end has passed none
    no run at all                  it will never run
    """
    for dag in file.dags:
        schedule = dag.schedule
        if schedule is None or not schedule.is_automatic:
            continue
        if schedule.error:
            yield Problem(
                f"its next run cannot be computed: {schedule.error}",
                "Correct the schedule; the scheduler would log this error and start no run.",
                dag.line,
                dag.dag_id,
            )
        elif not schedule.has_next and not schedule.has_ended:
            start = f"with the start date {schedule.start}" if schedule.start else "it has no start date"
            yield Problem(
                f"its schedule ({schedule.timetable}) never starts a run: {start}",
                "Give it a start_date and a schedule that comes true; or schedule=None, to start it by hand.",
                dag.line,
                dag.dag_id,
            )


def start_dates(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
    """A scheduled DAG's start date stands still.

    start date                                  problem
    written out                                 none
    of a DAG that time does not start           none
    the second of parsing, or a little before   it moves
    made of now(), today(), days_ago() ...      it moves
    """
    for dag in file.dags:
        if dag.schedule is None or not dag.schedule.is_automatic:
            continue
        if dag.schedule.is_moving or dag.moving_start:
            yield Problem(
                "its start date is made of the time at which the file is parsed, so it moves and runs may be left out",
                "Write the date out: start_date=datetime(2026, 1, 1).",
                dag.moving_start or dag.line,
                dag.dag_id,
            )


def owners(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every task has an owner: one that a pattern of `owners` knows; without patterns, any but Airflow's own."""
    known = project.demands.owners
    mend = f"one of: {', '.join(known)}" if known else "whoever answers for it"
    for dag in file.dags:
        for task in dag.tasks:
            good = any(fnmatchcase(task.owner, pattern) for pattern in known) if known else task.owner != "airflow"
            if not good:
                yield Problem(
                    f"its owner is {task.owner!r}",
                    f"Set owner in default_args to {mend}.",
                    task.line or dag.line,
                    dag.dag_id,
                    task.task_id,
                )


def tags(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every DAG has a tag; where the team lists `tags` (patterns), each of its tags is one of them."""
    known = project.demands.tags
    for dag in file.dags:
        strange = [tag for tag in dag.tags if known and not any(fnmatchcase(tag, pattern) for pattern in known)]
        if not dag.tags or strange:
            yield Problem(
                f"it has tags that the team does not know: {', '.join(strange)}" if strange else "it has no tag",
                f"Use tags=[...] of: {', '.join(known)}." if known else "Add tags=[...], by which people find it.",
                dag.line,
                dag.dag_id,
            )


def retries(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every task is tried again at least `retries` times: workers are replaced while tasks run."""
    least = project.demands.retries
    for dag in file.dags:
        for task in dag.tasks:
            if task.retries < least:
                yield Problem(
                    f"it is tried again {task.retries} times; at least {least} are demanded",
                    "Set retries in default_args.",
                    task.line or dag.line,
                    dag.dag_id,
                    task.task_id,
                )
