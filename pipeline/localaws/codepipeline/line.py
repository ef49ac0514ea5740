"""Everything known about one pipeline. Whoever touches a `Line` holds the engine's lock."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pipeline.localaws.codepipeline.definition import Pipeline
from pipeline.localaws.codepipeline.progress import ActionStatus, Execution, Progress
from pipeline.localaws.codepipeline.records import ActionRun, ExecutionRecord, Failure, Location, Retries, Transition

SUMMARY_LENGTH = 2048  # API reference: ExecutionSummary


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass
class Line:
    """A pipeline with its executions, its history and its tags."""

    pipeline: Pipeline
    arn: str
    created: datetime
    updated: datetime
    tags: dict[str, str]
    versions: dict[int, Pipeline]
    progress: Progress = field(default_factory=Progress)
    records: dict[str, ExecutionRecord] = field(default_factory=dict)  # oldest first
    runs: dict[str, ActionRun] = field(default_factory=dict)  # oldest first
    transitions: dict[str, Transition] = field(default_factory=dict)

    def execution(self, execution_id: str) -> Execution:
        """An execution that exists."""
        found = self.progress.execution(execution_id)
        if found is None:
            raise KeyError(execution_id)
        return found

    def begin(self, execution: Execution, record: ExecutionRecord) -> None:
        """A new execution, the newest."""
        self.records[record.id] = record
        self.progress = self.progress.with_execution(execution)

    def touch(self, execution_id: str, **changes: Any) -> None:
        """Change an execution's record."""
        self.records[execution_id] = replace(self.records[execution_id], updated=now(), **changes)

    def change_run(self, run_id: str, **changes: Any) -> ActionRun:
        """Change an action's record, and give the new one."""
        self.runs[run_id] = replace(self.runs[run_id], updated=now(), **changes)
        return self.runs[run_id]

    def count_retry(self, execution_id: str, stage: str, trigger: str) -> None:
        """One more retry of a stage."""
        record = self.records[execution_id]
        before = record.retries.get(stage, Retries())
        automated = trigger == "AutomatedStageRetry"
        one_more = Retries(before.automated + automated, before.manual + (not automated), trigger)
        self.touch(execution_id, retries={**record.retries, stage: one_more})

    def succeed(self, run: ActionRun) -> None:
        """Let the rest of the execution know what an action produced."""
        record = self.records[run.execution]
        namespace = run.action.namespace
        revisions = {run.action.name: run.revision} if run.revision else {}
        made_from = dict.fromkeys(run.outputs, run.revision) if run.revision else {}
        self.touch(
            run.execution,
            artifacts={**record.artifacts, **run.outputs},
            namespaces={**record.namespaces, **({namespace: run.variables} if namespace else {})},
            revisions={**record.revisions, **revisions},
            artifact_revisions={**record.artifact_revisions, **made_from},
        )
        self._report(run, ActionStatus.SUCCEEDED)

    def fail(self, run_id: str, failure: Failure) -> ActionRun:
        """An action failed."""
        run = self.change_run(run_id, status=ActionStatus.FAILED, failure=failure)
        self.touch(run.execution)
        self._report(run, ActionStatus.FAILED)
        return run

    def abandoned(self) -> list[ActionRun]:
        """Runs that nobody waits for any more, by the state of their executions; they are marked so."""
        lost = [
            run.id
            for run in self.runs.values()
            if run.status is ActionStatus.IN_PROGRESS
            and self.execution(run.execution).actions.get(run.action.name) is ActionStatus.ABANDONED
        ]
        return [self.change_run(run_id, status=ActionStatus.ABANDONED) for run_id in lost]

    def locations(self, execution_id: str, names: tuple[str, ...]) -> dict[str, Location]:
        """Where artifacts of an execution lie; those that were never made are left out."""
        known = self.records[execution_id].artifacts
        return {name: known[name] for name in names if name in known}

    def _report(self, run: ActionRun, status: ActionStatus) -> None:
        self.progress = self.progress.with_action(run.execution, run.action.name, status)
