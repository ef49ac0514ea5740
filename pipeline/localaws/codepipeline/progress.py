"""The executions of one pipeline, and what happens to them next. Nothing here acts.

An execution stands at the door of a stage, or inside it. `next_step` says what is to be done now, one step at a time;
`after` is the state once it is done. Whoever does the steps repeats until there is none, and reports the end of an
action with `with_action`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pipeline.localaws.codepipeline.definition import Mode, Pipeline, Stage


class Status(StrEnum):
    """Of an execution (API reference: PipelineExecution)."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"


class ActionStatus(StrEnum):
    """Of an action that has started (API reference: ActionExecution)."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ABANDONED = "Abandoned"


@dataclass(frozen=True)
class Execution:
    """One commit on its way.

    Attributes:
        id: The execution's id.
        pipeline: The declaration it runs on, as it was when it started.
        status: Of the whole execution.
        place: Index of the stage it stands in, or at whose door it waits.
        inside: Whether it has entered that stage.
        actions: The actions of that stage that have started, by name.
        succeeded: The stages it has left successfully.
        retried: The stages that were retried by themselves, once each.
        last: Index of the last stage it runs.
    """

    id: str
    pipeline: Pipeline
    last: int
    status: Status = Status.IN_PROGRESS
    place: int = 0
    inside: bool = False
    actions: Mapping[str, ActionStatus] = field(default_factory=dict)
    succeeded: frozenset[str] = frozenset()
    retried: frozenset[str] = frozenset()

    @staticmethod
    def new(execution_id: str, pipeline: Pipeline) -> "Execution":
        """An execution at the door of the first stage."""
        return Execution(execution_id, pipeline, last=len(pipeline.stages) - 1)

    @property
    def stage(self) -> Stage:
        """The stage it stands in or waits for."""
        return self.pipeline.stages[self.place]

    @property
    def active(self) -> bool:
        """Whether it may still move."""
        return self.status in {Status.IN_PROGRESS, Status.STOPPING}

    @property
    def running(self) -> tuple[str, ...]:
        """The actions that run now."""
        return tuple(name for name, status in self.actions.items() if status is ActionStatus.IN_PROGRESS)

    @property
    def waits(self) -> bool:
        """Whether it stands at a door."""
        return self.active and not self.inside

    def holds(self, stage: str) -> bool:
        """Whether nobody else may enter a stage: it is inside, or an action of it still runs there."""
        return self.inside and self.stage.name == stage and (self.active or bool(self.running))


@dataclass(frozen=True)
class Progress:
    """All executions of a pipeline, oldest first.

    Attributes:
        executions: Every execution since the pipeline was created.
        closed: The stages whose inbound transition is disabled.
        latest: Stage → the execution that entered it last.
    """

    executions: tuple[Execution, ...] = ()
    closed: frozenset[str] = frozenset()
    latest: Mapping[str, str] = field(default_factory=dict)

    def execution(self, execution_id: str) -> Execution | None:
        """The execution of that id."""
        return next((one for one in self.executions if one.id == execution_id), None)

    def with_execution(self, changed: Execution) -> "Progress":
        """The same with one execution replaced, or added as the newest."""
        if self.execution(changed.id) is None:
            return replace(self, executions=(*self.executions, changed))
        return replace(self, executions=tuple(changed if one.id == changed.id else one for one in self.executions))

    def with_action(self, execution_id: str, action: str, status: ActionStatus) -> "Progress":
        """The same with an action of an execution's present stage at a status."""
        execution = self.execution(execution_id)
        if execution is None:
            return self
        return self.with_execution(replace(execution, actions={**execution.actions, action: status}))


class Do(StrEnum):
    """What a step does."""

    ENTER = "enter the stage"
    START = "start an action"
    LEAVE = "leave the stage: it succeeded"
    RETRY = "run the failed actions again"
    FAIL = "fail"
    STOP = "stop"
    SUPERSEDE = "give way to a newer execution"


@dataclass(frozen=True)
class Step:
    """One thing to do, and why."""

    do: Do
    execution: str
    stage: str
    action: str = ""
    because: str = ""


def next_step(progress: Progress) -> Step | None:
    """What is to be done now; the oldest execution first. None when everybody waits for something.

    | the execution   | situation                                                           | step      |
    | --------------- | ------------------------------------------------------------------- | --------- |
    | is inside       | an action failed; the stage retries by itself and did not yet; none runs | RETRY |
    | is inside       | the same, but an action still runs                                   | -         |
    | is inside       | an action failed or was abandoned                                    | FAIL      |
    | is inside       | the actions of the lowest unfinished run order have not all started  | START     |
    | is inside       | all actions of the stage succeeded                                   | LEAVE     |
    | is inside       | otherwise: actions run                                               | -         |
    | stops, inside   | an action runs                                                       | -         |
    | stops           | no action runs                                                       | STOP      |
    | at the door     | SUPERSEDED, and a newer execution waits there too                    | SUPERSEDE |
    | at the door     | the transition is disabled                                           | -         |
    | at the door     | QUEUED or SUPERSEDED, and another execution holds the stage          | -         |
    | at the door     | QUEUED, and an older execution waits there too                       | -         |
    | at the door     | otherwise, and always in PARALLEL                                    | ENTER     |
    | has ended       | any                                                                  | -         |

    A failed action fails its stage and execution at once; actions beside it run on, and hold the stage until they end
    (user guide, "Configuring stage retry": actions still in progress continue; "Stop a pipeline execution": an
    execution locks the stage while its actions run).
    """
    for execution in progress.executions:
        if not execution.active:
            continue
        step = _inside(execution) if execution.inside else _at_the_door(execution, progress)
        if step:
            return step
    return None


def _inside(execution: Execution) -> Step | None:
    stage = execution.stage
    if execution.status is Status.STOPPING:
        return None if execution.running else Step(Do.STOP, execution.id, stage.name, because="it was asked to stop")
    lost = [
        name for name, status in execution.actions.items() if status in {ActionStatus.FAILED, ActionStatus.ABANDONED}
    ]
    if lost:
        because = f"{', '.join(lost)} failed"
        if not stage.retry or stage.name in execution.retried:
            return Step(Do.FAIL, execution.id, stage.name, because=because)
        return None if execution.running else Step(Do.RETRY, execution.id, stage.name, because=because)
    for group in stage.orders():
        for action in group:
            if action.name not in execution.actions:
                return Step(Do.START, execution.id, stage.name, action.name, f"run order {action.run_order}")
        if any(execution.actions[action.name] is not ActionStatus.SUCCEEDED for action in group):
            return None
    return Step(Do.LEAVE, execution.id, stage.name, because="all actions succeeded")


def _at_the_door(execution: Execution, progress: Progress) -> Step | None:
    stage = execution.stage.name
    mode = execution.pipeline.mode
    if execution.status is Status.STOPPING:
        return Step(Do.STOP, execution.id, stage, because="it was asked to stop")
    waiting = [one.id for one in progress.executions if one.waits and one.stage.name == stage]
    position = waiting.index(execution.id)
    if mode is Mode.SUPERSEDED and position < len(waiting) - 1:
        return Step(Do.SUPERSEDE, execution.id, stage, because=f"{waiting[-1]} is newer")
    if mode is Mode.PARALLEL:
        barred = stage in progress.closed
    else:
        held = any(one.holds(stage) for one in progress.executions if one.id != execution.id)
        barred = stage in progress.closed or held or (mode is Mode.QUEUED and position > 0)
    return None if barred else Step(Do.ENTER, execution.id, stage, because="the way in is free")


def after(progress: Progress, step: Step) -> Progress:
    """The state once a step is done.

    Raises:
        KeyError: The step is about an execution that does not exist.
    """
    execution = progress.execution(step.execution)
    if execution is None:
        raise KeyError(step.execution)
    match step.do:
        case Do.ENTER:
            progress = replace(progress, latest={**progress.latest, step.stage: execution.id})
            changed = replace(execution, inside=True, actions={})
        case Do.START:
            changed = replace(execution, actions={**execution.actions, step.action: ActionStatus.IN_PROGRESS})
        case Do.LEAVE:
            done = execution.place == execution.last
            changed = replace(
                execution,
                status=Status.SUCCEEDED if done else execution.status,
                place=execution.place if done else execution.place + 1,
                inside=False,
                actions={},
                succeeded=execution.succeeded | {step.stage},
            )
        case Do.RETRY:
            keep = {} if execution.stage.retry == "ALL_ACTIONS" else _succeeded(execution)
            changed = replace(execution, actions=keep, retried=execution.retried | {step.stage})
        case Do.FAIL:
            changed = replace(execution, status=Status.FAILED)
        case Do.STOP:
            changed = replace(execution, status=Status.STOPPED)
        case Do.SUPERSEDE:
            changed = replace(execution, status=Status.SUPERSEDED)
    return progress.with_execution(changed)


def _succeeded(execution: Execution) -> dict[str, ActionStatus]:
    return {name: status for name, status in execution.actions.items() if status is ActionStatus.SUCCEEDED}
