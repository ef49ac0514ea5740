"""Follow an execution until nothing more happens by itself."""

import time
from collections.abc import Callable

from rich.status import Status

from pipeline.console import out
from pipeline.errors import PipelineError
from pipeline.operate.client import PipelineClient
from pipeline.operate.executions import Action, Approval, Execution
from pipeline.operate.show import action_line, advice, heading, held_line, reason_lines

# CodePipeline allows a handful of reads a second for an account; a watcher takes four in this time.
POLL_SECONDS = 1.5
# Executions that another took the place of: the newer one carries the same or a later commit.
REPLACED = ("Superseded", "Cancelled")


def news(before: Execution | None, after: Execution) -> tuple[Action, ...]:
    """What changed between two looks, in the pipeline's order. That an action started is not news: it shows live."""
    known = {(action.stage, action.name): action.status for action in before.actions} if before else {}
    return tuple(
        action
        for action in after.actions
        if action.status in ("Succeeded", "Failed", "Abandoned") or action.waits_for_approval
        if known.get((action.stage, action.name)) != action.status
    )


class Watcher:
    """Prints what happens to an execution, and follows to the one that replaces it.

    Args:
        client: The pipeline.
        sleep: How to wait between two looks.
    """

    def __init__(self, client: PipelineClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def follow(self, execution_id: str) -> Execution:
        """Print news until the execution ended or waits for a person, and why it failed.

        Returns:
            The last execution that was followed.
        """
        while True:
            last = self._follow_one(execution_id)
            newer = self._client.latest()
            if last.status not in REPLACED or newer in (None, execution_id):
                break
            assert newer is not None  # noqa: S101 - told to mypy; see the condition above
            out.print(f"  [quiet]execution {execution_id[:8]} is {last.status}; another takes its place[/]")
            execution_id = newer
        for action in last.failed:
            for line in reason_lines(action, self._client.why(action)):
                out.print(line)
        for line in advice(last):
            out.print(line)
        return last

    def _follow_one(self, execution_id: str) -> Execution:
        before: Execution | None = None
        titled = False
        with _live() as status:
            while True:
                now = self._client.execution(execution_id)
                if not titled and (now.commit or now.ended):
                    out.print(heading(self._client.name, now))
                    titled = True
                for action in news(before, now):
                    out.print(f"  {action.stage:<16} {action_line(action)}")
                busy = [action for action in now.running if not action.waits_for_approval]
                status.update(_running(busy))
                # Beside an action that failed, others of its stage run on to their end, and may fail as well.
                if (now.ended and not (busy and now.status == "Failed")) or (now.waiting and not busy):
                    return now
                if not now.running and (held := self._held(execution_id)):
                    out.print(f"  {held.stage:<16} {held_line(held)}")
                    return now
                before = now
                self._sleep(POLL_SECONDS)

    def _held(self, execution_id: str) -> Approval | None:
        return next((found for found in self._client.approvals() if execution_id in found.behind), None)


def wait_for_execution(client: PipelineClient, commit: str, seconds: float, sleep: Callable[[float], None]) -> str:
    """The id of the execution that a push of `commit` starts.

    Raises:
        PipelineError: None started in that time.
    """
    for _ in range(max(1, int(seconds / POLL_SECONDS))):
        found = client.latest(commit)
        if found:
            return found
        sleep(POLL_SECONDS)
    raise PipelineError(
        f"no execution of commit {commit[:8]} started within {seconds:g} s",
        where=client.name,
        mend="Was it pushed to the branch the pipeline follows?",
    )


def _running(actions: list[Action]) -> str:
    return "[busy]" + ", ".join(f"{action.name} {action.seconds or 0:.0f} s" for action in actions) + "[/]"


class _Silent(Status):
    """Stands in for the spinner where there is no terminal."""

    def start(self) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """There is nothing to take away."""


def _live() -> Status:
    return Status("", console=out) if out.is_terminal else _Silent("", console=out)
