"""CloudFormation's API: checks what is asked, answers at once, and lets operations run on in threads of their own."""

import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final

from moto.core.config import default_user_config

from pipeline.localaws.cloudformation import views
from pipeline.localaws.cloudformation.composition import Composition
from pipeline.localaws.cloudformation.deploy import DELETE, DO_NOTHING, ROLLBACK, Deployment
from pipeline.localaws.cloudformation.intents import (
    CapabilityError,
    intent_of,
    needed_capability,
    template_text,
)
from pipeline.localaws.cloudformation.place import Place, Places
from pipeline.localaws.cloudformation.plan import Plan
from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.stacks import DELETED, REVIEW, ChangeSet, Intent, Stack, Stacks, now
from pipeline.localaws.cloudformation.template import Document, Template, TemplateError, load, parse
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Service, ServiceError

NO_CHANGES: Final = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)
NOTHING_TO_UPDATE: Final = "No updates are to be performed."
_EARLY_VALIDATION: Final = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. "
    "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)
_NAME: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_UPDATABLE: Final = re.compile(r"(CREATE|UPDATE|IMPORT)_COMPLETE|UPDATE_ROLLBACK_COMPLETE|(CREATE|UPDATE)_FAILED")

# Seconds an operation gets to end before its call is answered. Clients poll every five seconds or so; a stack of forty
# resources is done in about two, and an answer that comes when it is done saves them that wait.
_PATIENCE: Final = 3.0

# AWS's own managed policies exist in every account; moto brings them only when asked, before IAM is first used.
default_user_config["iam"]["load_aws_managed_policies"] = True


class CloudFormation(Service):
    """CloudFormation, for every account and region that calls it."""

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

    def create_stack(self, request: Document, call: Call) -> Document:
        """Make a stack."""
        place = self._place(call)
        name = request["StackName"]
        _refuse_name(name)
        with self._lock:
            if self._stacks.find(place, name) is not None:
                raise ServiceError("AlreadyExistsException", f"Stack [{name}] already exists")
            intent = self._intent(request, place, None)
            stack = Stack(place, name, intent)
            composition = self._composition(stack, intent)
            stack.protected = bool(request.get("EnableTerminationProtection", False))
            self._stacks.add(stack)
        failure = request.get("OnFailure") or (DO_NOTHING if request.get("DisableRollback") else ROLLBACK)
        stack.begin("CREATE_IN_PROGRESS", request.get("ClientRequestToken", ""))
        self._deploy(stack, composition, failure)
        return {"StackId": stack.id}

    def update_stack(self, request: Document, call: Call) -> Document:
        """Change a stack."""
        place = self._place(call)
        with self._lock:
            stack = self._stack(place, request["StackName"])
            _refuse_unfit(stack)
            intent = self._intent(request, place, stack.intent)
            composition = self._composition(stack, intent)
            plan, _ = self._plan(stack, composition)
            if not self._changes_anything(stack, composition, plan):
                raise _validation(NOTHING_TO_UPDATE)
            stack.begin("UPDATE_IN_PROGRESS", request.get("ClientRequestToken", ""))
        self._deploy(stack, composition, DO_NOTHING if request.get("DisableRollback") else ROLLBACK)
        return {"StackId": stack.id}

    def delete_stack(self, request: Document, call: Call) -> Document:
        """Delete a stack; that there is none is no error."""
        with self._lock:
            stack = self._stacks.find(self._place(call), request["StackName"])
            if stack is None or stack.status == DELETED:
                return {}
            if stack.protected:
                raise _validation(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.busy:
                raise _validation(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
            stack.begin("DELETE_IN_PROGRESS", request.get("ClientRequestToken", ""))
        retain = frozenset(request.get("RetainResources", ()))
        forced = request.get("DeletionMode") == "FORCE_DELETE_STACK"
        self._run(stack, lambda deployment: deployment.delete(retain, forced=forced))
        return {}

    def describe_stacks(self, request: Document, call: Call) -> Document:
        """One stack, or all that are not deleted."""
        place = self._place(call)
        if "StackName" in request:
            return {"Stacks": [views.stack_view(self._stack(place, request["StackName"]))]}
        return {"Stacks": [views.stack_view(stack) for stack in self._stacks.all(place) if stack.status != DELETED]}

    def list_stacks(self, request: Document, call: Call) -> Document:
        """All stacks, deleted ones too, or those of some statuses."""
        wanted = request.get("StackStatusFilter")
        stacks = [stack for stack in self._stacks.all(self._place(call)) if not wanted or stack.status in wanted]
        return {"StackSummaries": [views.summary_view(stack) for stack in stacks]}

    def describe_stack_events(self, request: Document, call: Call) -> Document:
        """A stack's history, newest first."""
        stack = self._stack(self._place(call), request["StackName"])
        with stack.lock:
            return {"StackEvents": [views.event_view(stack, event) for event in reversed(stack.events)]}

    def describe_events(self, request: Document, call: Call) -> Document:
        """The events of a stack, an operation or a change set; failed ones only, if so asked."""
        place = self._place(call)
        if "ChangeSetName" in request:
            stack, change_set = self._change_set(place, request)
            return {"OperationEvents": views.validation_events(stack, change_set)}
        operation, name = request.get("OperationId"), request.get("StackName")
        if name is None and operation is None:
            raise _validation("either StackName, ChangeSetName or OperationId must be given")
        stacks = [self._stack(place, name)] if name else self._stacks.all(place)
        failed = request.get("Filters", {}).get("FailedEvents", False)
        return {
            "OperationEvents": [
                views.operation_event_view(stack, event)
                for stack in stacks
                for event in reversed(stack.events)
                if (not failed or event.status.endswith("_FAILED")) and operation in {None, event.operation}
            ]
        }

    def describe_stack_resources(self, request: Document, call: Call) -> Document:
        """The resources of a stack, or of the one that has a physical id."""
        place = self._place(call)
        physical_id = request.get("PhysicalResourceId")
        if "StackName" in request:
            stack = self._stack(place, request["StackName"])
        else:
            owners = [
                stack
                for stack in self._stacks.all(place)
                if any(found.physical_id == physical_id for found in stack.resources.values())
            ]
            if not owners:
                raise _validation(f"Stack for {physical_id} does not exist")
            stack = owners[0]
        wanted = request.get("LogicalResourceId")
        resources = [found for name, found in stack.resources.items() if wanted in {None, name}]
        return {"StackResources": [views.resource_view(stack, found) for found in resources]}

    def describe_stack_resource(self, request: Document, call: Call) -> Document:
        """One resource."""
        stack = self._stack(self._place(call), request["StackName"])
        name = request["LogicalResourceId"]
        if name not in stack.resources:
            raise _validation(f"Resource {name} does not exist for stack {stack.name}")
        return {"StackResourceDetail": views.resource_detail(stack, stack.resources[name])}

    def list_stack_resources(self, request: Document, call: Call) -> Document:
        """The resources of a stack, in short."""
        stack = self._stack(self._place(call), request["StackName"])
        shown = [views.resource_view(stack, found) for found in stack.resources.values()]
        return {
            "StackResourceSummaries": [
                {key: value for key, value in view.items() if key not in {"StackName", "StackId", "Timestamp"}}
                | {"LastUpdatedTimestamp": view["Timestamp"]}
                for view in shown
            ]
        }

    def get_template(self, request: Document, call: Call) -> Document:
        """A stack's template, or a change set's; no macro runs here, so both stages are the same."""
        place = self._place(call)
        if "ChangeSetName" in request:
            template = self._change_set(place, request)[1].intent.template
        else:
            template = self._stack(place, request["StackName"]).intent.template
        return {"TemplateBody": template.text, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: Document, call: Call) -> Document:
        """What a template asks for and makes."""
        place = self._place(call)
        if "StackName" in request:
            template = self._stack(place, request["StackName"]).intent.template
        else:
            template = self._parsed(request, place)
        kinds = sorted({found.type for found in template.resources.values()})
        return _summary(template) | {
            "ResourceTypes": kinds,
            "Version": "2010-09-09",
            **({"Metadata": str(load(template.text).get("Metadata"))} if template.metadata else {}),
        }

    def validate_template(self, request: Document, call: Call) -> Document:
        """Whether a template can be read, and what it asks for."""
        return _summary(self._parsed(request, self._place(call)))

    def create_change_set(self, request: Document, call: Call) -> Document:
        """Work out what a template would change; nothing is done yet."""
        place = self._place(call)
        kind = request.get("ChangeSetType", "UPDATE")
        name = request["StackName"]
        if kind not in {"CREATE", "UPDATE"}:
            raise _validation(f"the local AWS does not implement change sets of the type {kind}")
        with self._lock:
            stack = self._stacks.find(place, name)
            if kind == "UPDATE" or (stack is not None and stack.status != REVIEW):
                stack = self._stack(place, name)
                if kind == "CREATE":
                    raise _validation(
                        f"Stack [{stack.name}] already exists and cannot be created again with the changeSet"
                    )
                _refuse_unfit(stack)
            intent = self._intent(request, place, stack.intent if stack and stack.status != REVIEW else None)
            if stack is None:
                _refuse_name(name)
                stack = Stack(place, name, intent)
                self._composition(stack, intent)  # refuses a bad template before anything is remembered
                self._stacks.add(stack)
                stack.become(REVIEW, "User Initiated")
            if request["ChangeSetName"] in stack.change_sets:
                raise ServiceError(
                    "AlreadyExistsException",
                    f"ChangeSet {request['ChangeSetName']} cannot be created as it already exists",
                )
            made = self._make_change_set(stack, intent, request)
            stack.change_sets[made.name] = made
        return {"Id": made.identity, "StackId": stack.id}

    def describe_change_set(self, request: Document, call: Call) -> Document:
        """A change set."""
        return views.change_set_view(*self._change_set(self._place(call), request))

    def describe_change_set_hooks(self, request: Document, call: Call) -> Document:
        """Nobody registers hooks here."""
        stack, change_set = self._change_set(self._place(call), request)
        return {
            "ChangeSetId": change_set.identity,
            "ChangeSetName": change_set.name,
            "Hooks": [],
            "Status": "UNAVAILABLE",
            "StackId": stack.id,
            "StackName": stack.name,
        }

    def list_change_sets(self, request: Document, call: Call) -> Document:
        """The change sets of a stack."""
        stack = self._stack(self._place(call), request["StackName"])
        return {"Summaries": [views.change_set_summary(stack, found) for found in stack.change_sets.values()]}

    def delete_change_set(self, request: Document, call: Call) -> Document:
        """Forget a change set; that there is none is no error."""
        try:
            stack, change_set = self._change_set(self._place(call), request)
        except ServiceError as error:
            if error.code == "ChangeSetNotFound":
                return {}
            raise
        with stack.lock:
            if stack.change_sets.get(change_set.name) is change_set:
                del stack.change_sets[change_set.name]
            else:
                stack.executed = None
        return {}

    def execute_change_set(self, request: Document, call: Call) -> Document:
        """Do what a change set says."""
        with self._lock:
            stack, change_set = self._change_set(self._place(call), request)
            if change_set.execution != "AVAILABLE":
                raise ServiceError(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{change_set.identity}] cannot be executed in its current status of "
                    f"[{change_set.status}]",
                )
            if stack.busy:
                raise _validation(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
            creating = stack.status == REVIEW
            composition = self._composition(stack, change_set.intent)
            # Every other change set was worked out against a stack that will not be there any more.
            stack.change_sets.clear()
            stack.executed = replace(change_set, execution="EXECUTE_COMPLETE")
            stack.last_change_set = change_set.identity
            stack.begin(f"{'CREATE' if creating else 'UPDATE'}_IN_PROGRESS", request.get("ClientRequestToken", ""))
        failure = change_set.on_failure or (DO_NOTHING if request.get("DisableRollback") else ROLLBACK)
        self._deploy(stack, composition, failure if creating or failure != DELETE else ROLLBACK)
        return {}

    def list_exports(self, request: Document, call: Call) -> Document:  # noqa: ARG002 - a single page
        """Everything exported."""
        return {
            "Exports": [
                {"ExportingStackId": stack.id, "Name": output.export, "Value": output.value}
                for stack, output in self._stacks.exports(self._place(call))
            ]
        }

    def list_imports(self, request: Document, call: Call) -> Document:
        """The stacks that import an export."""
        importers = self._stacks.importers(self._place(call), request["ExportName"])
        if not importers:
            raise _validation(f"Export '{request['ExportName']}' is not imported by any stack.")
        return {"Imports": [stack.name for stack in importers]}

    def update_termination_protection(self, request: Document, call: Call) -> Document:
        """Whether a stack can be deleted."""
        stack = self._stack(self._place(call), request["StackName"])
        stack.protected = bool(request["EnableTerminationProtection"])
        return {"StackId": stack.id}

    def get_stack_policy(self, request: Document, call: Call) -> Document:
        """None: nothing sets one here."""
        self._stack(self._place(call), request["StackName"])
        return {}

    def _place(self, call: Call) -> Place:
        return self._places.at(call.account, call.region)

    def _stack(self, place: Place, name: str) -> Stack:
        stack = self._stacks.find(place, name)
        if stack is None:
            raise _validation(f"Stack with id {name} does not exist")
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
            raise _validation(str(error)) from None

    def _intent(self, request: Document, place: Place, current: Intent | None) -> Intent:
        try:
            return intent_of(request, place, current)
        except TemplateError as error:
            raise _validation(str(error)) from None
        except CapabilityError as error:
            raise ServiceError("InsufficientCapabilitiesException", str(error)) from None

    def _composition(self, stack: Stack, intent: Intent) -> Composition:
        def export(name: str) -> str | None:
            return next((found.value for _, found in self._stacks.exports(stack.place) if found.export == name), None)

        types = ResourceTypes(stack.place.region)
        try:
            return Composition(intent, stack.place, types, stack.name, stack.id, export)
        except TemplateError as error:
            raise _validation(str(error)) from None

    def _plan(self, stack: Stack, composition: Composition) -> tuple[Plan, Any]:
        try:
            return composition.plan(stack.existing())
        except TemplateError as error:
            raise _validation(str(error)) from None

    def _changes_anything(self, stack: Stack, composition: Composition, plan: Plan) -> bool:
        if plan.effective or stack.intent.tags != composition.intent.tags or stack.status.endswith("_FAILED"):
            return True
        existing = stack.existing()
        return composition.outputs(existing.__getitem__) != stack.outputs

    def _make_change_set(self, stack: Stack, intent: Intent, request: Document) -> ChangeSet:
        composition = self._composition(stack, intent)
        name = request["ChangeSetName"]
        made = ChangeSet(
            identity=stack.place.arn("cloudformation", f"changeSet/{name}/{uuid.uuid4()}"),
            name=name,
            kind=request.get("ChangeSetType", "UPDATE"),
            intent=intent,
            plan=None,
            status="FAILED",
            execution="UNAVAILABLE",
            reason="",
            created=now(),
            description=request.get("Description", ""),
            on_failure=request.get("OnStackFailure"),
        )
        try:
            plan, problems = composition.plan(stack.existing())
            anything = self._changes_anything(stack, composition, plan)
        except TemplateError as error:
            return replace(made, reason=str(error))
        if problems:
            return replace(made, plan=plan, reason=_EARLY_VALIDATION, problems=problems)
        if not anything:
            return replace(made, plan=plan, reason=NO_CHANGES)
        return replace(made, plan=plan, status="CREATE_COMPLETE", execution="AVAILABLE")

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


def _refuse_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _validation(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_NAME.pattern}"
        )


def _refuse_unfit(stack: Stack) -> None:
    if not _UPDATABLE.fullmatch(stack.status):
        raise _validation(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _summary(template: Template) -> dict[str, Any]:
    capability, kinds = needed_capability(template)
    shown: dict[str, Any] = {
        "Description": template.description,
        "Parameters": [
            {
                "ParameterKey": name,
                "NoEcho": str(declared.get("NoEcho", False)).lower() == "true",
                "Description": str(declared.get("Description", "")),
                **({"DefaultValue": str(declared["Default"])} if "Default" in declared else {}),
            }
            for name, declared in template.parameters.items()
        ],
        "DeclaredTransforms": list(template.transforms),
    }
    if capability:
        shown["Capabilities"] = [capability]
        shown["CapabilitiesReason"] = f"The following resource(s) require capabilities: [{', '.join(kinds)}]"
    return shown


def _validation(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
