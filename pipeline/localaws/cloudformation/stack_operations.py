"""Stacks: made, changed, deleted, described."""

from typing import Final

from pipeline.localaws.cloudformation import views
from pipeline.localaws.cloudformation.deploy import DO_NOTHING, ROLLBACK
from pipeline.localaws.cloudformation.operations import Operations, refuse_name, refuse_unfit, validation
from pipeline.localaws.cloudformation.stacks import DELETED, Stack
from pipeline.localaws.cloudformation.template import Document
from pipeline.localaws.service import Call, ServiceError

NOTHING_TO_UPDATE: Final = "No updates are to be performed."


class StackOperations(Operations):
    """What CloudFormation's API says and does of stacks."""

    def create_stack(self, request: Document, call: Call) -> Document:
        """Make a stack."""
        place = self._place(call)
        name = request["StackName"]
        refuse_name(name)
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
            refuse_unfit(stack)
            intent = self._intent(request, place, stack.intent)
            composition = self._composition(stack, intent)
            plan, _ = self._plan(stack, composition)
            if not self._changes_anything(stack, composition, plan):
                raise validation(NOTHING_TO_UPDATE)
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
                raise validation(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.busy:
                raise validation(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
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
            raise validation("either StackName, ChangeSetName or OperationId must be given")
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
                raise validation(f"Stack for {physical_id} does not exist")
            stack = owners[0]
        wanted = request.get("LogicalResourceId")
        resources = [found for name, found in stack.resources.items() if wanted in {None, name}]
        return {"StackResources": [views.resource_view(stack, found) for found in resources]}

    def describe_stack_resource(self, request: Document, call: Call) -> Document:
        """One resource."""
        stack = self._stack(self._place(call), request["StackName"])
        name = request["LogicalResourceId"]
        if name not in stack.resources:
            raise validation(f"Resource {name} does not exist for stack {stack.name}")
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
            raise validation(f"Export '{request['ExportName']}' is not imported by any stack.")
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
