"""What all operations of CloudFormation share: finding stacks, working out plans, and running them beside the call."""

import re
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final

from pipeline.localaws.cloudformation.composition import Composition
from pipeline.localaws.cloudformation.deploy import DO_NOTHING, Deployment
from pipeline.localaws.cloudformation.intents import (
    CapabilityError,
    intent_of,
    template_text,
)
from pipeline.localaws.cloudformation.place import Place, Places
from pipeline.localaws.cloudformation.plan import Plan
from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.stacks import ChangeSet, Intent, Stack, Stacks, now
from pipeline.localaws.cloudformation.template import Document, Template, TemplateError, parse
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Service, ServiceError

_NAME: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_UPDATABLE: Final = re.compile(r"(CREATE|UPDATE|IMPORT)_COMPLETE|UPDATE_ROLLBACK_COMPLETE|(CREATE|UPDATE)_FAILED")

# Seconds an operation gets to end before its call is answered. Clients poll every five seconds or so; a stack of forty
# resources is done in about two, and an answer that comes when it is done saves them that wait.
_PATIENCE: Final = 3.0


class Operations(Service):
    """The stacks of every account and region, and what is under way."""

    name: ClassVar[str] = "cloudformation"

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self._stacks = Stacks()
        self._places = Places(region)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()

    def stop(self) -> None:
        """End what is under way between two resources, or in the middle of a wait."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _place(self, call: Call) -> Place:
        return self._places.at(call.account, call.region)

    def _stack(self, place: Place, name: str) -> Stack:
        stack = self._stacks.find(place, name)
        if stack is None:
            raise validation(f"Stack with id {name} does not exist")
        return stack

    def _change_set(self, place: Place, request: Document) -> tuple[Stack, ChangeSet]:
        wanted = request["ChangeSetName"]
        stacks = [self._stack(place, request["StackName"])] if "StackName" in request else self._stacks.all(place)
        for stack in stacks:
            done = [stack.executed] if stack.executed else []
            for found in [*stack.change_sets.values(), *done]:
                if wanted in {found.identity, found.name}:
                    return stack, found
        raise ServiceError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist")

    def _parsed(self, request: Document, place: Place) -> Template:
        try:
            return parse(template_text(request, place))
        except TemplateError as error:
            raise validation(str(error)) from None

    def _intent(self, request: Document, place: Place, current: Intent | None) -> Intent:
        try:
            return intent_of(request, place, current)
        except TemplateError as error:
            raise validation(str(error)) from None
        except CapabilityError as error:
            raise ServiceError("InsufficientCapabilitiesException", str(error)) from None

    def _composition(self, stack: Stack, intent: Intent) -> Composition:
        def export(name: str) -> str | None:
            return next((found.value for _, found in self._stacks.exports(stack.place) if found.export == name), None)

        types = ResourceTypes(stack.place.region)
        try:
            return Composition(intent, stack.place, types, stack.name, stack.id, export)
        except TemplateError as error:
            raise validation(str(error)) from None

    def _plan(self, stack: Stack, composition: Composition) -> tuple[Plan, Any]:
        try:
            return composition.plan(stack.existing())
        except TemplateError as error:
            raise validation(str(error)) from None

    def _changes_anything(self, stack: Stack, composition: Composition, plan: Plan) -> bool:
        if plan.effective or stack.intent.tags != composition.intent.tags or stack.status.endswith("_FAILED"):
            return True
        existing = stack.existing()
        return composition.outputs(existing.__getitem__) != stack.outputs

    def _deploy(self, stack: Stack, composition: Composition, on_failure: str) -> None:
        stack.disable_rollback = on_failure == DO_NOTHING
        if stack.status == "UPDATE_IN_PROGRESS":
            stack.updated = now()
        else:
            stack.intent = composition.intent
        self._run(stack, lambda deployment: deployment.deploy(composition, on_failure))

    def _run(self, stack: Stack, work: Callable[[Deployment], None]) -> None:
        deployment = Deployment(stack, self._stacks, ResourceTypes(stack.place.region), self._stopping)
        thread = threading.Thread(target=work, args=(deployment,), name=f"stack-{stack.name}", daemon=True)
        self._threads = [*(running for running in self._threads if running.is_alive()), thread]
        thread.start()
        thread.join(_PATIENCE)


def refuse_name(name: str) -> None:
    """Refuse a name that no stack may have."""
    if not _NAME.fullmatch(name):
        raise validation(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_NAME.pattern}"
        )


def refuse_unfit(stack: Stack) -> None:
    """Refuse to update a stack that is not in a state for it."""
    if not _UPDATABLE.fullmatch(stack.status):
        raise validation(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def validation(message: str) -> ServiceError:
    """The error of a request that is not as it should be."""
    return ServiceError("ValidationError", message)
