"""Change sets: worked out, described, executed."""

import uuid
from dataclasses import replace
from typing import Final

from pipeline.localaws.cloudformation import views
from pipeline.localaws.cloudformation.deploy import DELETE, DO_NOTHING, ROLLBACK
from pipeline.localaws.cloudformation.operations import Operations, refuse_name, refuse_unfit, validation
from pipeline.localaws.cloudformation.stacks import REVIEW, ChangeSet, Intent, Stack, now
from pipeline.localaws.cloudformation.template import Document, TemplateError
from pipeline.localaws.service import Call, ServiceError

NO_CHANGES: Final = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)
_EARLY_VALIDATION: Final = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. "
    "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)


class ChangeSetOperations(Operations):
    """What CloudFormation's API says and does of change sets."""

    def create_change_set(self, request: Document, call: Call) -> Document:
        """Work out what a template would change; nothing is done yet."""
        place = self._place(call)
        kind = request.get("ChangeSetType", "UPDATE")
        name = request["StackName"]
        if kind not in {"CREATE", "UPDATE"}:
            raise validation(f"the local AWS does not implement change sets of the type {kind}")
        with self._lock:
            stack = self._stacks.find(place, name)
            if kind == "UPDATE" or (stack is not None and stack.status != REVIEW):
                stack = self._stack(place, name)
                if kind == "CREATE":
                    raise validation(
                        f"Stack [{stack.name}] already exists and cannot be created again with the changeSet"
                    )
                refuse_unfit(stack)
            intent = self._intent(request, place, stack.intent if stack and stack.status != REVIEW else None)
            if stack is None:
                refuse_name(name)
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
                raise validation(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
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
