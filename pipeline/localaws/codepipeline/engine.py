"""Carries out what `progress` decides: one lock over all state, one thread for each running action.

The history is in memory only: the local AWS is made anew after it was killed, and so are its pipelines.
"""

import logging
import math
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.codepipeline import notices
from pipeline.localaws.codepipeline.actions.work import (
    CONFIGURATION_ERROR,
    JOB_FAILED,
    AbandonedError,
    ActionFailedError,
    Outcome,
    Perform,
    Work,
)
from pipeline.localaws.codepipeline.definition import Action
from pipeline.localaws.codepipeline.line import Line, now
from pipeline.localaws.codepipeline.notices import Courier, Emit
from pipeline.localaws.codepipeline.progress import ActionStatus, Do, Execution, Step, after, next_step
from pipeline.localaws.codepipeline.records import ActionRun, ExecutionRecord, External, Failure, Location
from pipeline.localaws.codepipeline.roles import Roles
from pipeline.localaws.codepipeline.variables import UnknownVariableError, resolve
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

END_SECONDS: Final = 5.0  # how long all workers together get to notice that the local AWS ends
INTERNAL_ERROR: Final = "InternalError"
MESSAGE_LENGTH: Final = 5000  # API reference: Message

# Step → the states of the execution's and the stage's events; "" where there is none.
_STATES: Final = {
    Do.ENTER: ("", "STARTED"),
    Do.LEAVE: ("", "SUCCEEDED"),
    Do.RETRY: ("RESUMED", "RESUMED"),
    Do.FAIL: ("FAILED", "FAILED"),
    Do.STOP: ("STOPPED", "STOPPED"),
    Do.SUPERSEDE: ("SUPERSEDED", ""),
}


class Engine:
    """All pipelines and the work of their actions.

    Args:
        region: Where the actions' services answer.
        performers: What does the actions, by the provider's name.
        emit: Takes the events for EventBridge.
    """

    def __init__(self, region: LocalRegion, performers: Mapping[str, Perform], emit: Emit) -> None:
        self.lock = RLock()
        self.lines: dict[str, Line] = {}
        self._region = region
        self._performers = performers
        self._roles = Roles(region)
        self._courier = Courier(emit)
        self._ended: dict[str, Event] = {}  # by action run, while it is in progress
        self._threads: set[Thread] = set()

    def start(self) -> None:
        """Begin to deliver events; actions start when executions do."""
        self._courier.start()

    def stop(self) -> None:
        """End every worker. Their actions stay unfinished: what they started elsewhere is ended by its own service."""
        with self.lock:
            for ended in self._ended.values():
                ended.set()
            threads = list(self._threads)
        deadline = time.monotonic() + END_SECONDS
        self._courier.stop(END_SECONDS)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def begin(self, line: Line, execution: Execution, record: ExecutionRecord) -> None:
        """Let an execution run that stands at the door of its first stage. The caller holds the lock."""
        line.begin(execution, record)
        self._courier.send(notices.of_execution(line, execution.id, "STARTED"))
        self.advance(line)

    def advance(self, line: Line) -> None:
        """Do every step that can be done now. The caller holds the lock and has changed `line.progress`."""
        for run in line.abandoned():
            self._release(run.id)
            self._courier.send(notices.of_action(line, run, self._region.region))
        while step := next_step(line.progress):
            log.info("%s: %s %s %s: %s", step.execution, step.stage, step.do, step.action, step.because)
            line.progress = after(line.progress, step)
            self._record(line, step)
            if step.do is Do.START:
                self._start(line, line.execution(step.execution), step.action)

    def tell(self, line: Line, execution_id: str, stage: str, state: str) -> None:
        """Raise the events of an execution and of a stage that people changed. The caller holds the lock."""
        self._courier.send(notices.of_execution(line, execution_id, state))
        if stage:
            self._courier.send(notices.of_stage(line, execution_id, stage, state))

    def answer(self, line: Line, run: ActionRun, *, approved: bool, summary: str, by: str) -> None:
        """Somebody answered an approval. The caller holds the lock."""
        line.change_run(run.id, updated_by=by, external=External(summary=summary))
        result: Outcome | Failure = Outcome()
        if not approved:
            result = Failure(JOB_FAILED, f"The approval was rejected: {summary}" if summary else "It was rejected")
        self._finish(line, run.id, result)

    def remove(self, line: Line) -> None:
        """Forget a pipeline: nobody waits for its actions any more. The caller holds the lock."""
        for run in line.runs.values():
            self._release(run.id)
        self.lines.pop(line.pipeline.name, None)

    def _release(self, run_id: str) -> None:
        ended = self._ended.pop(run_id, None)
        if ended:
            ended.set()

    def _record(self, line: Line, step: Step) -> None:
        if step.do is Do.SUPERSEDE:
            line.touch(step.execution, summary=f"Superseded: {step.because}")
        else:
            line.touch(step.execution)
        if step.do is Do.RETRY:
            line.count_retry(step.execution, step.stage, "AutomatedStageRetry")
        of_execution, of_stage = _STATES.get(step.do, ("", ""))
        if of_stage:
            self._courier.send(notices.of_stage(line, step.execution, step.stage, of_stage))
        status = line.execution(step.execution).status
        if of_execution or (step.do is Do.LEAVE and status == "Succeeded"):
            self._courier.send(notices.of_execution(line, step.execution, of_execution or "SUCCEEDED"))

    def _start(self, line: Line, execution: Execution, name: str) -> None:
        action = execution.stage.action(name)
        if action is None:
            raise KeyError(name)
        record = line.records[execution.id]
        failure = None
        configuration: Mapping[str, str] = action.configuration
        built_in = {"codepipeline": {"PipelineExecutionId": execution.id}, "variables": record.variables}
        try:
            configuration = resolve(action.configuration, {**record.namespaces, **built_in})
        except UnknownVariableError as error:
            failure = Failure(CONFIGURATION_ERROR, str(error))
        run = ActionRun(
            id=str(uuid.uuid4()),
            execution=execution.id,
            version=execution.pipeline.version,
            stage=execution.stage.name,
            action=action,
            role=action.role or execution.pipeline.role,
            status=ActionStatus.IN_PROGRESS,
            started=now(),
            updated=now(),
            configuration=configuration,
            inputs=line.locations(execution.id, action.inputs),
            outputs={artifact: _location(execution, artifact) for artifact in action.outputs},
            token=str(uuid.uuid4()) if action.type.category == "Approval" else "",
        )
        missing = [artifact for artifact in action.inputs if artifact not in run.inputs]
        if missing:
            failure = Failure(
                CONFIGURATION_ERROR, f"The input artifact {missing[0]} was not produced in this execution"
            )
        line.runs[run.id] = run
        self._courier.send(notices.of_action(line, run, self._region.region))
        self._ended[run.id] = Event()
        if failure:
            self._finish(line, run.id, failure)
            return
        worker = Thread(
            target=self._work,
            args=(line, run, _revisions(record, action), self._ended[run.id]),
            name=f"codepipeline {line.pipeline.name} {run.stage}/{action.name}",
            daemon=True,
        )
        self._threads = {thread for thread in self._threads if thread.is_alive()} | {worker}
        worker.start()

    def _work(self, line: Line, run: ActionRun, revisions: Mapping[str, str], ended: Event) -> None:
        result: Outcome | Failure
        try:
            with self._region.temporary_folder("codepipeline-") as folder:
                work = Work(
                    pipeline=line.pipeline.name,
                    execution=run.execution,
                    stage=run.stage,
                    action=run.action,
                    configuration=run.configuration,
                    inputs=run.inputs,
                    outputs=run.outputs,
                    revisions=revisions,
                    token=run.token,
                    region=self._region.region,
                    client=self._roles.clients(run.role, run.execution),
                    report=partial(self._report, line, run.id),
                    until=time.monotonic() + 60 * run.action.timeout if run.action.timeout else math.inf,
                    ended=ended,
                    folder=Path(folder),
                )
                result = self._performers[run.action.provider.name](work)
        except AbandonedError:
            return
        except ActionFailedError as error:
            result = Failure(error.code, error.message)
        except ClientError as error:
            said = error.response.get("Error", {})
            result = Failure(JOB_FAILED, f"{error.operation_name}: {said.get('Code')}: {said.get('Message')}")
        except (PipelineError, BotoCoreError) as error:
            result = Failure(JOB_FAILED, str(error))
        except Exception as error:
            if not ended.is_set():
                log.exception("%s/%s failed", run.stage, run.action.name)
            result = Failure(INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        with self.lock:
            if not ended.is_set():
                self._finish(line, run.id, result)

    def _report(self, line: Line, run_id: str, external: External) -> None:
        with self.lock:
            if run_id in self._ended:
                line.change_run(run_id, external=external)

    def _finish(self, line: Line, run_id: str, result: Outcome | Failure) -> None:
        self._release(run_id)
        if isinstance(result, Failure):
            run = line.fail(run_id, replace(result, message=result.message[:MESSAGE_LENGTH]))
        else:
            run = line.change_run(
                run_id,
                status=ActionStatus.SUCCEEDED,
                variables=result.variables,
                external=result.external or line.runs[run_id].external,
                revision=result.revision,
            )
            line.succeed(run)
        self._courier.send(notices.of_action(line, run, self._region.region))
        self.advance(line)


def _revisions(record: ExecutionRecord, action: Action) -> dict[str, str]:
    """The commit each input was made from; that of the only source for what actions made from it."""
    known = {name: revision.id for name, revision in record.artifact_revisions.items()}
    commits = set(known.values())
    only = {name: next(iter(commits)) for name in action.inputs} if len(commits) == 1 else {}
    override = {"": record.overrides[action.name]} if action.name in record.overrides else {}
    return {**only, **known, **override}


def _location(execution: Execution, artifact: str) -> Location:
    """Where an artifact is put: names cut short and a random part, as CodePipeline's keys look."""
    name = execution.pipeline.name
    return Location(execution.pipeline.bucket, f"{name[:20]}/{artifact[:10]}/{secrets.token_hex(4)}.zip")
