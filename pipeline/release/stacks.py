"""What a commit's stacks change beyond DAGs: Airflow's own settings, and the tasks' definitions. Pure.

Images are not among it: their tags say it all, and a section of their own shows them. Roles and network are not
compared; their templates are what the reviewers of a commit read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NONE = "none"
_HIDDEN = "not shown"
_ANOTHER = "another value"
_LONGEST = 60  # signs of a value
_SECRET_NAME = re.compile(
    r"passw|pwd|secret|token|key|credential|dsn|webhook|broker_url|result_backend|(^|[_.])conn(_|$)", re.IGNORECASE
)
_URL_WITH_USER = re.compile(r"://[^/\s]*@")


@dataclass(frozen=True)
class AirflowSettings:
    """What GetEnvironment and cdk.json both say of an Airflow; `options` are its configuration options."""

    version: str
    environment_class: str
    min_workers: int
    max_workers: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskSettings:
    """What a task definition and container.toml both say of a task.

    Attributes:
        cpu: CPU units; "" where they are not said.
        memory: MiB; "" where it is not said.
        architecture: In ECS's words.
        environment: Variable → value.
        secrets: Variable → where ECS takes its value from, never the value.
    """

    cpu: str = ""
    memory: str = ""
    architecture: str = "X86_64"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A row: what, from, to; and whether MWAA makes new workers for it."""

    what: str
    before: str
    after: str
    replaces_workers: bool = False


@dataclass(frozen=True)
class Compared:
    """The rows of one stack; `unknown` says why they could not be told."""

    changes: tuple[Change, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class Stacks:
    """The stacks of an environment that a commit may change."""

    airflow: Compared = field(default_factory=Compared)
    tasks: Compared = field(default_factory=Compared)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All rows, those of Airflow first."""
        return (*self.airflow.changes, *self.tasks.changes)

    @property
    def replaces_workers(self) -> bool | None:
        """Whether MWAA makes new workers for it; None when that is not known."""
        return None if self.airflow.unknown else any(change.replaces_workers for change in self.airflow.changes)


def airflow_changes(before: AirflowSettings, after: AirflowSettings) -> tuple[Change, ...]:
    """How an Airflow's settings differ.

    | what differs                  | new workers                                                    |
    | ----------------------------- | -------------------------------------------------------------- |
    | version, class                | yes: each worker has them from its start                       |
    | an option                     | yes: it reaches Airflow's processes as an environment variable |
    | the least and most of workers | no: MWAA starts and ends some                                  |
    """
    rows = [
        Change("Airflow version", before.version, after.version, replaces_workers=True),
        Change("Airflow class", before.environment_class, after.environment_class, replaces_workers=True),
        Change("Airflow min_workers", str(before.min_workers), str(after.min_workers)),
        Change("Airflow max_workers", str(before.max_workers), str(after.max_workers)),
    ]
    for name in sorted(before.options.keys() | after.options.keys()):
        was, now = before.options.get(name), after.options.get(name)
        if was != now:
            rows.append(Change(f"Airflow option {name}", *_pair(name, was, now), replaces_workers=True))
    return tuple(row for row in rows if row.before != row.after)


def task_changes(before: Mapping[str, TaskSettings], after: Mapping[str, TaskSettings]) -> tuple[Change, ...]:
    """How the tasks' definitions differ, by container."""
    return tuple(row for name in sorted(before.keys() | after.keys()) for row in _task(name, before, after))


def _task(name: str, before: Mapping[str, TaskSettings], after: Mapping[str, TaskSettings]) -> Iterator[Change]:
    was, now = before.get(name), after.get(name)
    if was is None or now is None:
        yield Change(f"task {name}", _whole(was), _whole(now))
        return
    for what, old, new in (
        ("cpu", was.cpu, now.cpu),
        ("memory in MiB", was.memory, now.memory),
        ("architecture", was.architecture, now.architecture),
    ):
        if old != new:
            yield Change(f"{what} of {name}", old or _NONE, new or _NONE)
    secret = {*was.secrets, *now.secrets}
    for variable in sorted({*secret, *was.environment, *now.environment}):
        if _said(was, variable) != _said(now, variable):
            shown = _pair(variable, was.environment.get(variable), now.environment.get(variable), variable in secret)
            old, new = (
                f"secret {task.secrets[variable]}" if variable in task.secrets else text
                for task, text in zip((was, now), shown, strict=True)
            )
            yield Change(f"variable {variable} of {name}", old, new)


def _whole(task: TaskSettings | None) -> str:
    return f"cpu {task.cpu or _NONE} with {task.memory or _NONE} MiB on {task.architecture}" if task else _NONE


def _said(task: TaskSettings, variable: str) -> tuple[str | None, str | None]:
    return task.secrets.get(variable), task.environment.get(variable)


def _pair(name: str, before: str | None, after: str | None, secret: bool = False) -> tuple[str, str]:
    """Two values, as a page may show them that is kept, and read by many.

    | value                                               | shown as                  |
    | --------------------------------------------------- | ------------------------- |
    | there is none                                       | none                      |
    | of a variable that is a secret before or after this | not shown                 |
    | whose name speaks of a password, a key and the like | not shown                 |
    | a URL with a user in it                             | not shown                 |
    | any other                                           | itself, its first 60 signs |
    | the second, where both would look the same          | another value             |
    """
    was, now = (
        _NONE
        if value is None
        else _HIDDEN
        if secret or _SECRET_NAME.search(name) or _URL_WITH_USER.search(value)
        else (value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
        for value in (before, after)
    )
    return was, _ANOTHER if was == now and after is not None else now
