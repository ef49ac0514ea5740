"""What a stack operation will do: the ordered changes between what exists and what a template wants.

Compared are RESOLVED properties: a resource that refers to a replaced one changes too, and one whose text changed but
whose meaning did not is left alone.

    exists  wanted  type        properties          change
    no      yes     -           -                   add
    yes     no      -           -                   remove, or let go when DeletionPolicy is Retain
    yes     yes     same        equal               keep (policies and metadata are only recorded)
    yes     yes     same        a createOnly one    replace; the old one goes in the clean-up, or is let go when
                                differs             UpdateReplacePolicy is Retain
    yes     yes     same        others differ       modify in place
    yes     yes     different   -                   refused
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pipeline.localaws.cloudformation.graph import order
from pipeline.localaws.cloudformation.intrinsics import Unknown
from pipeline.localaws.cloudformation.template import DELETE, RETAIN, RETAIN_EXCEPT_ON_CREATE, Document, TemplateError

Paths = tuple[tuple[str, ...], ...]


class Action(Enum):
    """What happens to one resource."""

    ADD = "Add"
    MODIFY = "Modify"
    REPLACE = "Replace"
    REMOVE = "Remove"
    KEEP = "Keep"


@dataclass(frozen=True)
class Wanted:
    """A resource as a template wants it, its properties resolved as far as they are known."""

    logical_id: str
    type: str
    properties: Document
    dependencies: tuple[str, ...] = ()
    metadata: Document = field(default_factory=dict)
    deletion_policy: str = DELETE
    update_replace_policy: str = DELETE


@dataclass(frozen=True)
class Recorded:
    """A resource that exists: how it was wanted, and what came of it."""

    wanted: Wanted
    physical_id: str
    attributes: Document

    @property
    def logical_id(self) -> str:
        """Its name in the template."""
        return self.wanted.logical_id

    @property
    def type(self) -> str:
        """Its resource type."""
        return self.wanted.type

    def attribute(self, name: str) -> Any:
        """What `Fn::GetAtt` yields.

        Raises:
            TemplateError: It has no such attribute.
        """
        for source in (self.attributes, self.wanted.properties):
            if name in source:
                return source[name]
        value: Any = {**self.wanted.properties, **self.attributes}
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise TemplateError(
                    f"Template error: resource {self.logical_id} does not support attribute type {name} in Fn::GetAtt"
                )
            value = value[part]
        return value


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs.

    Attributes:
        path: Names from the properties down; one for a top-level property.
        replaces: A change of it replaces the resource.
        dynamic: The new value is only known after another resource exists.
    """

    path: tuple[str, ...]
    before: Any
    after: Any
    replaces: bool
    dynamic: bool


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and why."""

    action: Action
    logical_id: str
    type: str
    reason: str
    physical_id: str | None = None
    properties: tuple[PropertyChange, ...] = ()
    scope: tuple[str, ...] = ()
    retained: bool = False

    @property
    def conditional(self) -> bool:
        """A replacement that only happens if a value turns out different."""
        deciding = [change for change in self.properties if change.replaces]
        return self.action is Action.REPLACE and all(change.dynamic for change in deciding)


@dataclass(frozen=True)
class Plan:
    """All changes: first those the template wants, in the order of dependency, then the removals, in reverse."""

    changes: tuple[Change, ...]

    @property
    def effective(self) -> tuple[Change, ...]:
        """Without what is kept."""
        return tuple(change for change in self.changes if change.action is not Action.KEEP or change.scope)


def decide(existing: Recorded | None, wanted: Wanted, create_only: Paths) -> Change:
    """What happens to one resource that the template wants.

    Raises:
        TemplateError: The type of an existing resource was changed.
    """
    if existing is None:
        return Change(Action.ADD, wanted.logical_id, wanted.type, "it does not exist yet")
    if existing.type != wanted.type:
        raise TemplateError(
            "Update of resource type is not permitted. The new template modifies resource type of the following "
            f"resources: [{wanted.logical_id}]"
        )
    found = property_changes(existing.wanted.properties, wanted.properties, create_only)
    scope = _scope(existing.wanted, wanted, bool(found))
    names = ", ".join("/".join(change.path) for change in found)
    if not found:
        reason = "no property differs" if not scope else f"only {' and '.join(scope)} differs"
        return Change(Action.KEEP, wanted.logical_id, wanted.type, reason, existing.physical_id, scope=scope)
    replacing = [change for change in found if change.replaces]
    action = Action.REPLACE if replacing else Action.MODIFY
    retained = action is Action.REPLACE and existing.wanted.update_replace_policy == RETAIN
    why = f"{names} differ" if len(found) > 1 else f"{names} differs"
    if replacing:
        why += f"; {', '.join('/'.join(change.path) for change in replacing)} cannot change in place"
    return Change(action, wanted.logical_id, wanted.type, why, existing.physical_id, found, scope, retained)


def removal(existing: Recorded) -> Change:
    """What happens to a resource the template no longer has."""
    retained = existing.wanted.deletion_policy in {RETAIN, RETAIN_EXCEPT_ON_CREATE}
    reason = "the template no longer has it" + ("; its DeletionPolicy keeps it" if retained else "")
    return Change(Action.REMOVE, existing.logical_id, existing.type, reason, existing.physical_id, retained=retained)


def removals(existing: Iterable[Recorded]) -> list[Recorded]:
    """Resources in the order they can be deleted: whatever needs another goes before it."""
    by_name = {recorded.logical_id: recorded for recorded in existing}
    needs = {name: recorded.wanted.dependencies for name, recorded in by_name.items()}
    return [by_name[name] for name in reversed(order(needs))]


def plan(
    existing: Mapping[str, Recorded],
    wanted_order: Iterable[str],
    resolve: Callable[[str, Callable[[str], Recorded | Unknown]], Wanted],
    create_only: Callable[[str], Paths],
) -> Plan:
    """The changes that lead from what exists to what a template wants.

    Args:
        existing: By logical id.
        wanted_order: Logical ids of the template, each after those it needs.
        resolve: A resource with its properties resolved, given how to look at others: as they exist, or Unknown.
        create_only: The properties of a type that cannot change in place.
    """
    decided: dict[str, Change] = {}

    def look(name: str) -> Recorded | Unknown:
        change = decided.get(name)
        settled = change is not None and change.action in {Action.KEEP, Action.MODIFY}
        return existing[name] if settled else Unknown(name)

    for name in wanted_order:
        wanted = resolve(name, look)
        decided[name] = decide(existing.get(name), wanted, create_only(wanted.type))
    gone = removals(recorded for name, recorded in existing.items() if name not in decided)
    return Plan((*decided.values(), *map(removal, gone)))


def property_changes(before: Document, after: Document, create_only: Paths) -> tuple[PropertyChange, ...]:
    """The properties that differ, sorted; a nested one only where it alone decides about a replacement."""
    found = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        deciding = [path for path in create_only if path[0] == name and differs(_at(before, path), _at(after, path))]
        path = min(deciding, key=len, default=(name,))
        found.append(PropertyChange(path, old, new, bool(deciding), _has_unknown(new)))
    return tuple(found)


def differs(before: Any, after: Any) -> bool:
    """Whether two values differ; what is not known yet counts as different."""
    return bool(before != after)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """The value at a path; below a `*`, or a value not known yet, the list or the Unknown itself."""
    for part in path:
        if part == "*" or isinstance(value, Unknown):
            return value
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return isinstance(value, Unknown)


def _scope(before: Wanted, after: Wanted, properties: bool) -> tuple[str, ...]:
    parts = {
        "Properties": properties,
        "Metadata": before.metadata != after.metadata,
        "DeletionPolicy": before.deletion_policy != after.deletion_policy,
        "UpdateReplacePolicy": before.update_replace_policy != after.update_replace_policy,
    }
    return tuple(name for name, changed in parts.items() if changed)
