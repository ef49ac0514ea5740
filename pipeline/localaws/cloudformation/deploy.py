"""Carries out stack operations: create, update, delete; and goes back to what was before when something fails.

An update goes forward resource by resource in the order of dependency; nothing is deleted until all of it worked. So
going back means: update in place what was updated in place, take up again what was replaced, delete what is new.

    CREATE_IN_PROGRESS ─ CREATE_COMPLETE
                       └ ROLLBACK_IN_PROGRESS ─ ROLLBACK_COMPLETE           (or CREATE_FAILED, with rollback disabled)
    UPDATE_IN_PROGRESS ─ UPDATE_COMPLETE_CLEANUP_IN_PROGRESS ─ UPDATE_COMPLETE
                       └ UPDATE_ROLLBACK_IN_PROGRESS ─ UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
                         ─ UPDATE_ROLLBACK_COMPLETE                         (or UPDATE_FAILED, with rollback disabled)
"""

import logging
from dataclasses import dataclass, field
from threading import Event
from typing import Final

from pipeline.localaws.cloudformation.composition import Composition
from pipeline.localaws.cloudformation.intrinsics import Unknown
from pipeline.localaws.cloudformation.plan import Action, Change, Recorded, Wanted, decide, removal, removals
from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.stacks import DELETED, Output, Stack, Stacks, now
from pipeline.localaws.cloudformation.steps import StepError, Steps, rolled_back_policy
from pipeline.localaws.cloudformation.template import RETAIN, TemplateError

log = logging.getLogger(__name__)

ROLLBACK: Final = "ROLLBACK"
DELETE: Final = "DELETE"
DO_NOTHING: Final = "DO_NOTHING"


@dataclass
class _Journal:
    """What an operation has done so far, and what it has to do once all of it worked or failed."""

    updated: list[tuple[Recorded, Recorded]] = field(default_factory=list)  # before, after
    replaced: list[tuple[Recorded, Recorded]] = field(default_factory=list)
    created: list[Recorded] = field(default_factory=list)
    partial: list[Recorded] = field(default_factory=list)


class Deployment:
    """The operations of one stack."""

    def __init__(self, stack: Stack, stacks: Stacks, types: ResourceTypes, stopping: Event) -> None:
        self._stack = stack
        self._stacks = stacks
        self._stopping = stopping
        self._steps = Steps(stack, types, stopping)
        self._types = types

    def deploy(self, composition: Composition, on_failure: str) -> None:
        """Make the stack what a composition says; `on_failure` is ROLLBACK, DELETE (of a new stack) or DO_NOTHING."""
        stack = self._stack
        creating = stack.status == "CREATE_IN_PROGRESS"
        word = "CREATE" if creating else "UPDATE"
        journal = _Journal()
        try:
            self._forward(composition, journal)
            outputs = composition.outputs(self._look)
            self._refuse_export_conflicts(outputs)
        except Exception as error:
            if not isinstance(error, StepError | TemplateError):
                log.exception("deploying %s failed in the engine itself", stack.name)
            why = _failed(error)
            if on_failure == DO_NOTHING:
                self._keep_what_exists(composition, journal)
                stack.become(f"{word}_FAILED", why)
            elif creating:
                self._roll_back_creation(journal, why, delete=on_failure == DELETE)
            else:
                self._roll_back_update(journal, why)
            return
        with stack.lock:
            stack.outputs = outputs
            stack.imports = frozenset(composition.imports)
            stack.intent = composition.intent
        if not creating:
            stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(journal, composition)
        stack.become(f"{word}_COMPLETE")

    def delete(self, retain: frozenset[str], *, forced: bool) -> None:
        """Delete the stack with its resources.

        Args:
            retain: Logical ids that are let go.
            forced: Let go whatever cannot be deleted.
        """
        stack = self._stack
        for output in stack.outputs:
            users = self._stacks.importers(stack.place, output.export) if output.export else []
            if users:
                stack.become("DELETE_FAILED", _in_use(output, users, "deleted"))
                return
        failed = self._delete_all(stack.existing(), retain, creation=False)
        if failed and not forced:
            stack.become("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
            return
        stack.outputs = ()
        stack.imports = frozenset()
        stack.become(DELETED)

    def _forward(self, composition: Composition, journal: _Journal) -> None:
        existing = self._stack.existing()
        for name in composition.order:
            before = existing.get(name)
            wanted = self._wanted(name, before, composition)
            change = decide(before, wanted, self._types.create_only(wanted.type))
            if change.action is Action.KEEP and before is not None:
                self._steps.keep(before, wanted)
            else:
                self._do(change, before, wanted, journal)

    def _wanted(self, name: str, before: Recorded | None, composition: Composition) -> Wanted:
        """A resource as wanted now that all it needs exists; if that cannot be said, it is this resource that fails."""
        kind = composition.intent.template.resources[name].type
        try:
            resolved = composition.resolve(name, self._look)
        except TemplateError as error:
            raise self._steps.fail(name, kind, before, str(error)) from error
        if resolved.problems:
            lines = "\n".join(map(str, resolved.problems))
            why = f"Properties validation failed for resource {name} with message:\n{lines}"
            raise self._steps.fail(name, kind, before, why)
        if self._stopping.is_set():
            raise self._steps.fail(name, kind, before, "the local AWS was stopped")
        return resolved.wanted

    def _do(self, change: Change, before: Recorded | None, wanted: Wanted, journal: _Journal) -> None:
        try:
            if before is None:
                journal.created.append(self._steps.create(wanted))
            elif change.action is Action.REPLACE:
                journal.replaced.append((before, self._steps.create(wanted, replacing=before)))
            else:
                # Noted before it is tried: half an update has to be taken back, too.
                journal.updated.append((before, Recorded(wanted, before.physical_id, before.attributes)))
                self._steps.update(before, wanted)
        except StepError as error:
            if error.partial is not None:
                journal.partial.append(error.partial)
            raise

    def _look(self, name: str) -> Recorded | Unknown:
        found = self._stack.existing().get(name)
        return found if found is not None else Unknown(name)

    def _clean_up(self, journal: _Journal, composition: Composition) -> None:
        """Delete what was replaced or is no longer wanted. What fails here is told, and left behind, as on AWS."""
        old = {before.logical_id: before for before, _ in journal.replaced}
        gone = {name: found for name, found in self._stack.existing().items() if name not in composition.order}
        for recorded in removals([*old.values(), *gone.values()]):
            name = recorded.logical_id
            retained = recorded.wanted.update_replace_policy == RETAIN if name in old else removal(recorded).retained
            self._delete_quietly(recorded, retained=retained)
            if name in gone:
                self._stack.forget(name)

    def _roll_back_creation(self, journal: _Journal, why: str, *, delete: bool) -> None:
        stack = self._stack
        stack.become("DELETE_IN_PROGRESS" if delete else "ROLLBACK_IN_PROGRESS", f"{why} Rollback requested by user.")
        for partial in journal.partial:
            self._delete_quietly(partial, retained=False)
        failed = self._delete_all(stack.existing(), frozenset(), creation=True)
        if failed:
            why = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            stack.become("DELETE_FAILED" if delete else "ROLLBACK_FAILED", why)
        else:
            stack.become(DELETED if delete else "ROLLBACK_COMPLETE")

    def _roll_back_update(self, journal: _Journal, why: str) -> None:
        stack = self._stack
        stack.become("UPDATE_ROLLBACK_IN_PROGRESS", why)
        failed = []
        for before, after in reversed(journal.updated):
            try:
                self._steps.update(after, before.wanted)
            except StepError as error:
                failed.append(error.logical_id)
        for before, _ in journal.replaced:
            stack.tell(before.logical_id, before.type, before.physical_id, "UPDATE_COMPLETE")
            stack.record(before.logical_id, before)
        if failed:
            stack.become(
                "UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{', '.join(failed)}]. "
            )
            return
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        new = [*journal.partial, *journal.created, *(after for _, after in journal.replaced)]
        for recorded in removals(new):
            fresh = recorded in journal.created
            self._delete_quietly(recorded, retained=fresh and rolled_back_policy(recorded))
            if fresh or recorded.logical_id not in stack.existing():
                stack.forget(recorded.logical_id)
        for name, found in list(stack.resources.items()):
            if found.recorded is None:
                stack.forget(name)  # failed before anything of it existed
        stack.become("UPDATE_ROLLBACK_COMPLETE")

    def _delete_all(self, existing: dict[str, Recorded], retain: frozenset[str], *, creation: bool) -> list[str]:
        """Delete resources, last needed first; whatever a failed one needs stays. Returns what failed."""
        failed: list[str] = []
        needed: set[str] = set()
        for recorded in removals(existing.values()):
            name = recorded.logical_id
            if name in needed:
                needed |= set(recorded.wanted.dependencies)
                continue
            kept = rolled_back_policy(recorded) if creation else removal(recorded).retained
            try:
                self._steps.delete(recorded, retained=kept or name in retain)
            except StepError:
                failed.append(name)
                needed |= set(recorded.wanted.dependencies)
            else:
                self._stack.record(name, None)
        return failed

    def _delete_quietly(self, recorded: Recorded, *, retained: bool) -> None:
        try:
            self._steps.delete(recorded, retained=retained, of_old=True)
        except StepError as error:
            log.warning("%s of %s was left behind: %s", recorded.physical_id, self._stack.name, error)

    def _keep_what_exists(self, composition: Composition, journal: _Journal) -> None:
        """With rollback disabled the stack keeps what came to be, and its next update starts from there."""
        for partial in journal.partial:
            self._delete_quietly(partial, retained=False)
        for before, _ in journal.replaced:
            self._delete_quietly(before, retained=before.wanted.update_replace_policy == RETAIN)
        with self._stack.lock:
            self._stack.intent = composition.intent
            self._stack.imports = frozenset(composition.imports)
            self._stack.updated = now()

    def _refuse_export_conflicts(self, outputs: tuple[Output, ...]) -> None:
        stack = self._stack
        wanted = {output.export: output for output in outputs if output.export}
        for other, output in self._stacks.exports(stack.place):
            if other is not stack and output.export in wanted:
                raise TemplateError(f"Export with name {output.export} is already exported by stack {other.name}. ")
        for output in stack.outputs:
            users = self._stacks.importers(stack.place, output.export) if output.export else []
            kept = wanted.get(output.export or "")
            if users and (kept is None or kept.value != output.value):
                raise TemplateError(_in_use(output, users, "deleted" if kept is None else "updated"))


def _in_use(output: Output, users: list[Stack], verb: str) -> str:
    names = " and ".join(user.name for user in users)
    return f"Export {output.export} cannot be {verb} as it is in use by {names}"


def _failed(error: Exception) -> str:
    if isinstance(error, StepError):
        return f"The following resource(s) failed to {error.verb}: [{error.logical_id}]. "
    return str(error)
