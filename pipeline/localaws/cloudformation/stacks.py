"""Stacks and change sets as they are now, and everything that happened to them.

All of it lives in memory, as do moto's resources that it describes: both begin anew with the server.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Final

from pipeline.localaws.cloudformation.parameters import Value
from pipeline.localaws.cloudformation.place import Place
from pipeline.localaws.cloudformation.plan import Plan, Recorded
from pipeline.localaws.cloudformation.schema import Problem
from pipeline.localaws.cloudformation.template import Template

REVIEW: Final = "REVIEW_IN_PROGRESS"
DELETED: Final = "DELETE_COMPLETE"
STACK_TYPE: Final = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Output:
    """A value a stack shows, and exports if `export` names it."""

    key: str
    value: str
    description: str = ""
    export: str | None = None


@dataclass(frozen=True)
class StackResource:
    """A resource as DescribeStackResources shows it; `recorded` is None while it does not exist."""

    logical_id: str
    type: str
    physical_id: str
    status: str
    reason: str
    at: datetime
    recorded: Recorded | None = None


@dataclass(frozen=True)
class StackEvent:
    """One line of a stack's history; `operation` groups those of one operation."""

    identity: str
    at: datetime
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    token: str
    operation: str


@dataclass(frozen=True)
class Intent:
    """What a stack shall become: a template with values for its parameters."""

    template: Template
    parameters: Mapping[str, Value]
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    role_arn: str | None = None
    notifications: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangeSet:
    """What an update or creation would do, worked out before it is done."""

    identity: str
    name: str
    kind: str
    intent: Intent
    plan: Plan | None
    status: str
    execution: str
    reason: str
    created: datetime
    description: str = ""
    on_failure: str | None = None
    problems: tuple[tuple[str, str, Problem], ...] = ()  # logical id, type, what is wrong


class Stack:
    """One stack. `lock` guards it; only one operation runs at a time."""

    def __init__(self, place: Place, name: str, intent: Intent) -> None:
        self.place = place
        self.name = name
        self.id = place.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")
        self.intent = intent
        self.status = REVIEW
        self.reason = ""
        self.resources: dict[str, StackResource] = {}
        self.outputs: tuple[Output, ...] = ()
        self.imports: frozenset[str] = frozenset()
        self.events: list[StackEvent] = []
        self.change_sets: dict[str, ChangeSet] = {}
        self.executed: ChangeSet | None = None  # can be looked at until someone deletes it
        self.last_change_set: str | None = None
        self.created = now()
        self.updated: datetime | None = None
        self.deleted: datetime | None = None
        self.protected = False
        self.disable_rollback = False
        self.lock = RLock()
        self._token = ""
        self._operation = ""

    @property
    def busy(self) -> bool:
        """Whether an operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != REVIEW

    def existing(self) -> dict[str, Recorded]:
        """The resources that exist, by logical id."""
        with self.lock:
            return {name: found.recorded for name, found in self.resources.items() if found.recorded is not None}

    def begin(self, status: str, token: str, reason: str = "User Initiated") -> None:
        """A new operation starts; `token` is the caller's, shown with each of its events."""
        with self.lock:
            self._token, self._operation = token, str(uuid.uuid4())
            self.become(status, reason)

    def become(self, status: str, reason: str = "") -> None:
        """Change the stack's own status."""
        with self.lock:
            self.status, self.reason = status, reason
            if status == DELETED:
                self.deleted = now()
            self._happened(self.name, self.id, STACK_TYPE, status, reason)

    def tell(
        self, logical_id: str, kind: str, physical_id: str, status: str, reason: str = "", *, of_old: bool = False
    ) -> None:
        """Something happened to a resource; `of_old` when it is about one the stack no longer calls its own."""
        with self.lock:
            self._happened(logical_id, physical_id, kind, status, reason)
            if not of_old:
                before = self.resources.get(logical_id)
                self.resources[logical_id] = StackResource(
                    logical_id, kind, physical_id, status, reason, now(), before.recorded if before else None
                )

    def record(self, logical_id: str, recorded: Recorded | None) -> None:
        """Note what exists under a logical id now."""
        with self.lock:
            found = self.resources[logical_id]
            physical_id = recorded.physical_id if recorded else found.physical_id
            self.resources[logical_id] = replace(found, recorded=recorded, physical_id=physical_id)

    def forget(self, logical_id: str) -> None:
        """The stack has nothing under that logical id any more."""
        with self.lock:
            self.resources.pop(logical_id, None)

    def _happened(self, logical_id: str, physical_id: str, kind: str, status: str, reason: str) -> None:
        at = now()
        if self.events and at <= self.events[-1].at:
            # Clients order events by time; two of one instant must not change places.
            at = self.events[-1].at + timedelta(milliseconds=1)
        self.events.append(
            StackEvent(
                str(uuid.uuid4()), at, logical_id, physical_id, kind, status, reason, self._token, self._operation
            )
        )


class Stacks:
    """All stacks of all accounts and regions."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._stacks: list[Stack] = []

    def add(self, stack: Stack) -> None:
        """Take up a new stack."""
        with self._lock:
            self._stacks.append(stack)

    def drop(self, stack: Stack) -> None:
        """Forget a stack that never came to be."""
        with self._lock:
            self._stacks.remove(stack)

    def all(self, place: Place) -> list[Stack]:
        """Every stack of a place, deleted ones too, newest first."""
        with self._lock:
            return [stack for stack in reversed(self._stacks) if stack.place == place]

    def find(self, place: Place, name_or_id: str) -> Stack | None:
        """A stack by its name, or, deleted or not, by its id."""
        for stack in self.all(place):
            if stack.id == name_or_id or (stack.name == name_or_id and stack.status != DELETED):
                return stack
        return None

    def exports(self, place: Place) -> Iterator[tuple[Stack, Output]]:
        """Everything exported in a place."""
        for stack in self.all(place):
            if stack.status != DELETED:
                yield from ((stack, output) for output in stack.outputs if output.export)

    def importers(self, place: Place, export: str) -> list[Stack]:
        """The stacks that import an export."""
        return [stack for stack in self.all(place) if stack.status != DELETED and export in stack.imports]


def now() -> datetime:
    """This instant, as exact as AWS tells it."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
