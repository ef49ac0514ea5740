"""The events CodePipeline raises (user guide, "Monitoring CodePipeline events"), and the thread that delivers them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from pipeline.localaws.codepipeline.line import Line
from pipeline.localaws.codepipeline.records import ActionRun, Location

log = logging.getLogger(__name__)

Emit = Callable[[str, str, Mapping[str, Any], Sequence[str]], None]

SOURCE: Final = "aws.codepipeline"
TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Notice:
    """An event for EventBridge."""

    detail_type: str
    detail: Mapping[str, Any]
    resources: tuple[str, ...]


def of_execution(line: Line, execution_id: str, state: str) -> Notice:
    """An execution started, ended, or was stopped."""
    record = line.records[execution_id]
    trigger = {"trigger-type": record.trigger.type, "trigger-detail": record.trigger.detail}
    detail = {**_common(line, execution_id), "state": state, "execution-trigger": trigger}
    return Notice("CodePipeline Pipeline Execution State Change", detail, (line.arn,))


def of_stage(line: Line, execution_id: str, stage: str, state: str) -> Notice:
    """A stage of an execution started or ended."""
    detail = {**_common(line, execution_id), "stage": stage, "state": state}
    return Notice("CodePipeline Stage Execution State Change", detail, (line.arn,))


def of_action(line: Line, run: ActionRun, region: str) -> Notice:
    """An action started or ended: its record says which."""
    state = {"InProgress": "STARTED", "Succeeded": "SUCCEEDED", "Failed": "FAILED", "Abandoned": "ABANDONED"}[
        run.status
    ]
    result = {
        "external-execution-url": run.external.url,
        "external-execution-id": run.external.id,
        "external-execution-summary": run.failure.message if run.failure else run.external.summary,
        **({"error-code": run.failure.code} if run.failure else {}),
    }
    kind = run.action.type
    detail = {
        **_common(line, run.execution),
        "stage": run.stage,
        "action": run.action.name,
        "action-execution-id": run.id,
        "state": state,
        "region": region,
        "type": {
            "owner": kind.owner,
            "provider": kind.provider,
            "category": kind.category,
            "version": kind.version,
        },
        "input-artifacts": _artifacts(run.inputs),
        "output-artifacts": _artifacts(run.outputs),
        **({"execution-result": result} if run.external.id or run.failure else {}),
    }
    return Notice("CodePipeline Action Execution State Change", detail, (line.arn,))


def _common(line: Line, execution_id: str) -> dict[str, Any]:
    return {
        "pipeline": line.pipeline.name,
        "execution-id": execution_id,
        "start-time": line.records[execution_id].started.strftime(TIME),
        "version": float(line.execution(execution_id).pipeline.version),
    }


def _artifacts(locations: Mapping[str, Location]) -> list[dict[str, Any]]:
    return [
        {"name": name, "s3location": {"bucket": location.bucket, "key": location.key}}
        for name, location in locations.items()
    ]


class Courier:
    """Delivers events in order on a thread of its own: a rule's target may well call CodePipeline again."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._queue: SimpleQueue[Notice | None] = SimpleQueue()
        self._thread = Thread(target=self._deliver, name="codepipeline events", daemon=True)

    def start(self) -> None:
        """Deliver from now on."""
        self._thread.start()

    def send(self, notice: Notice) -> None:
        """Hand over an event; returns at once."""
        self._queue.put(notice)

    def stop(self, seconds: float) -> None:
        """Deliver what is left, for so long at most."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _deliver(self) -> None:
        while (notice := self._queue.get()) is not None:
            try:
                self._emit(SOURCE, notice.detail_type, notice.detail, notice.resources)
            except Exception:
                log.exception("the event %s was not delivered", notice.detail_type)
