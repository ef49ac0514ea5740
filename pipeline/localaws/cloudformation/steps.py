"""One resource, one step: create, update or delete it, and tell the stack's history."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Final

from pipeline.localaws.cloudformation.plan import Recorded, Wanted
from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, reason
from pipeline.localaws.cloudformation.stacks import Stack
from pipeline.localaws.cloudformation.template import DELETE

_REPLACING: Final = "Requested update requires the creation of a new physical resource; hence creating one."


class StepError(Exception):
    """A resource failed; the stack's history says why already.

    Attributes:
        logical_id: Which.
        verb: What it failed to do: create, update or delete.
        partial: What had come to exist before it failed, to be deleted again.
    """

    def __init__(self, logical_id: str, why: str, verb: str, partial: Recorded | None = None) -> None:
        super().__init__(why)
        self.logical_id = logical_id
        self.verb = verb
        self.partial = partial


class Steps:
    """The steps of one stack's operations."""

    def __init__(self, stack: Stack, types: ResourceTypes, stopping: Event) -> None:
        self._stack = stack
        self._types = types
        self._stopping = stopping

    def create(self, wanted: Wanted, *, replacing: Recorded | None = None) -> Recorded:
        """Make a resource, new or in the place of one that stays until the clean-up."""
        name, kind = wanted.logical_id, wanted.type
        status = "UPDATE" if replacing else "CREATE"
        shown = replacing.physical_id if replacing else ""
        self._stack.tell(name, kind, shown, f"{status}_IN_PROGRESS", _REPLACING if replacing else "")
        noted: list[str] = []
        request = self._request(wanted, noted.append)
        try:
            _refuse_same_name(replacing, wanted, self._types)
            physical_id = self._provider(wanted).create(request)
            noted.append(physical_id)
            made = Recorded(wanted, physical_id, self._provider(wanted).attributes(request, physical_id))
        except Exception as error:
            why = reason(error)
            self._stack.tell(name, kind, noted[-1] if noted else shown, f"{status}_FAILED", why)
            partial = Recorded(wanted, noted[-1], {}) if noted else None
            raise StepError(name, why, status.lower(), partial) from error
        self._stack.tell(name, kind, physical_id, f"{status}_COMPLETE")
        self._stack.record(name, made)
        return made

    def update(self, existing: Recorded, wanted: Wanted, *, why: str = "") -> Recorded:
        """Change a resource in place."""
        name, kind = wanted.logical_id, wanted.type
        self._stack.tell(name, kind, existing.physical_id, "UPDATE_IN_PROGRESS", why)
        request = self._request(wanted, lambda _: None)
        try:
            self._provider(wanted).update(request, existing.physical_id, existing.wanted.properties)
            attributes = self._provider(wanted).attributes(request, existing.physical_id)
        except Exception as error:
            why = reason(error)
            self._stack.tell(name, kind, existing.physical_id, "UPDATE_FAILED", why)
            raise StepError(name, why, "update") from error
        made = Recorded(wanted, existing.physical_id, attributes)
        self._stack.tell(name, kind, existing.physical_id, "UPDATE_COMPLETE")
        self._stack.record(name, made)
        return made

    def keep(self, existing: Recorded, wanted: Wanted) -> Recorded:
        """Only note what the template says now: nothing about the resource itself differs."""
        kept = replace(existing, wanted=wanted)
        self._stack.record(wanted.logical_id, kept)
        return kept

    def delete(self, existing: Recorded, *, retained: bool, of_old: bool = False) -> None:
        """Delete a resource, or let it go.

        Args:
            existing: Which.
            retained: Its policy keeps it: it is only forgotten.
            of_old: The stack calls something else by this logical id, or nothing.
        """
        name, kind = existing.logical_id, existing.type
        if retained:
            self._stack.tell(name, kind, existing.physical_id, "DELETE_SKIPPED", of_old=of_old)
            return
        self._stack.tell(name, kind, existing.physical_id, "DELETE_IN_PROGRESS", of_old=of_old)
        request = self._request(existing.wanted, lambda _: None)
        try:
            self._provider(existing.wanted).delete(request, existing.physical_id)
        except Exception as error:
            why = reason(error)
            self._stack.tell(name, kind, existing.physical_id, "DELETE_FAILED", why, of_old=of_old)
            raise StepError(name, why, "delete") from error
        self._stack.tell(name, kind, existing.physical_id, "DELETE_COMPLETE", of_old=of_old)
        if not of_old:
            self._stack.record(name, None)

    def fail(self, name: str, kind: str, existing: Recorded | None, why: str) -> StepError:
        """Tell that a resource failed before anything was attempted."""
        verb = "update" if existing else "create"
        self._stack.tell(name, kind, existing.physical_id if existing else "", f"{verb.upper()}_FAILED", why)
        return StepError(name, why, verb)

    def _provider(self, wanted: Wanted) -> Provider:
        return self._types.provider(wanted.type)

    def _request(self, wanted: Wanted, note: Callable[[str], None]) -> Request:
        stack = self._stack
        return Request(stack.place, stack.name, wanted.logical_id, wanted.properties, note, self._stopping)


class _SameNameError(Exception):
    """Two resources of one name would have to exist at once."""

    def __str__(self) -> str:
        return (
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
            f"Rename {self.args[0]} and update the stack again."
        )


def _refuse_same_name(replacing: Recorded | None, wanted: Wanted, types: ResourceTypes) -> None:
    if replacing is None:
        return
    schema = types.schema(wanted.type)
    given = [path[0] for path in schema.identifier if path[0] not in schema.read_only]
    named = len(given) == len(schema.identifier) and all(
        name in wanted.properties and wanted.properties[name] == replacing.wanted.properties.get(name) for name in given
    )
    if given and named:
        raise _SameNameError(replacing.physical_id)


def rolled_back_policy(recorded: Recorded) -> bool:
    """Whether a resource survives the roll-back of the operation that created it: only plain Retain keeps it."""
    return recorded.wanted.deletion_policy not in {DELETE, "RetainExceptOnCreate"}
