"""Running one DAG to its end in the released Airflow: the proof that tasks run, not only that files parse."""

import secrets
from collections.abc import Callable, Collection
from time import monotonic, sleep
from typing import Any, TypeVar

from pipeline.errors import PipelineError
from pipeline.release.airflow import Airflow, AirflowAnswerError, AirflowUnreachableError, pages
from pipeline.release.verdict import Seen

_LONGEST = 3600.0  # seconds
_POLL = 5.0
_NOT_FOUND, _CONFLICT = 404, 409

Answer = TypeVar("Answer")


def check(
    dag: str,
    before: Seen,
    released: Collection[str] | None,
    *,
    former: Collection[str] | None,
    removed: Collection[str],
    back: bool,
) -> bool:
    """Find out before anything is published whether the canary could run at all.

    | the release            | Airflow has it | a deploy                                    | a rollback            |
    | ---------------------- | -------------- | ------------------------------------------- | --------------------- |
    | takes it away          | yes            | refused                                     | does without a canary |
    | has none of that name  | no             | refused                                     | does without a canary |
    | has it, or may have it | paused         | refused: its run would never start          | refused               |
    | has it, or may have it | yes            | may run                                     | may run               |
    | has it, or may have it | no             | comes with the release, and is judged there | likewise              |

    A release has none of that name when the tests of its DAGs found none, and takes it away when besides they had found
    it in the release before, or its file goes. What Airflow has and no test ever found, one environment alone defines.

    Args:
        dag: The DAG's id.
        before: What Airflow says now.
        released: The DAGs of the release, as far as they are known.
        former: The DAGs of the release before, as far as they are known.
        removed: Files that go.
        back: It is a rollback, perhaps to before there was a canary.

    Returns:
        Whether it is to run.

    Raises:
        PipelineError: It is refused.
    """
    there = before.dags.get(dag)
    if released is not None and dag not in released:
        goes = there is not None and (dag in (former or ()) or there.file in removed)
        if back and (goes or there is None):
            return False
        if goes:
            raise _unknown(dag, "this release takes the DAG away")
        if there is None:
            raise _unknown(dag, "neither Airflow nor this release has such a DAG")
    if there is not None and there.paused:
        raise _paused(dag, comes=False)
    return True


def run(
    airflow: Airflow,
    dag: str,
    *,
    alive: Callable[[], None],
    tell: Callable[[str], None],
    comes: bool = False,
    needed: bool = True,
    pause: Callable[[float], None] = sleep,
    clock: Callable[[], float] = monotonic,
    longest: float = _LONGEST,
) -> None:
    """Start a run of a DAG and wait for its success. An Airflow that is busy is asked again for as long.

    Args:
        airflow: The running Airflow.
        dag: The DAG's id. It should be made for this: small, quick, and free to run at any time.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people whenever the run's state changes.
        comes: Airflow did not have the DAG before this release.
        needed: That there is no such DAG is an error, not a remark.
        pause: Waits for a number of seconds.
        clock: Counts the seconds.
        longest: Seconds the run may take.

    Raises:
        PipelineError: There is no such DAG, it is paused, or its run did not succeed; failed tasks are named.
        AirflowUnreachableError: Airflow stopped answering.
    """
    where = _where(dag)
    patient = _Patient(alive, tell, pause, clock, longest)
    try:
        described = patient.ask(lambda: airflow.get(f"/dags/{dag}"))
    except AirflowAnswerError as error:
        if error.status != _NOT_FOUND:
            raise
        if needed:
            raise _unknown(dag, "Airflow has no such DAG") from None
        tell(f"remark: Airflow has no DAG {dag} any more, so no canary runs")
        return
    if described.get("is_paused"):
        raise _paused(dag, comes=comes)
    name = f"canary-{secrets.token_hex(4)}"
    patient.ask(lambda: _start(airflow, dag, name))
    said = ""
    while True:
        state = patient.ask(lambda: _state(airflow, dag, name))
        if state != said:
            said = state
            tell(f"canary {dag}: {state}")
        if state == "success":
            return
        if state == "failed":
            raise PipelineError(
                f"its run {name} failed{patient.ask(lambda: _failed_tasks(airflow, dag, name))}",
                where=where,
                mend="Its logs in Airflow say why. Correct it and push again.",
            )
        if patient.is_over:
            raise PipelineError(
                f"its run {name} is still {state} after {longest:g} s",
                where=where,
                mend="Its logs in Airflow say what it waits for. A canary should be small and quick.",
            )
        pause(_POLL)


class _Patient:
    """Asks an Airflow that is busy again, until the time of the whole run is over."""

    def __init__(
        self,
        alive: Callable[[], None],
        tell: Callable[[str], None],
        pause: Callable[[float], None],
        clock: Callable[[], float],
        longest: float,
    ) -> None:
        self._alive = alive
        self._tell = tell
        self._pause = pause
        self._clock = clock
        self._end = clock() + longest

    @property
    def is_over(self) -> bool:
        return self._clock() > self._end

    def ask(self, question: Callable[[], Answer]) -> Answer:
        while True:
            self._alive()
            try:
                return question()
            except (AirflowAnswerError, AirflowUnreachableError) as error:
                if not error.is_busy or self.is_over:
                    raise
                self._tell(f"Airflow is asked again: {error.what}")
            self._pause(_POLL)


def _where(dag: str) -> str:
    return f"Airflow, canary {dag}"


def _unknown(dag: str, what: str) -> PipelineError:
    return PipelineError(what, where=_where(dag), mend="Correct `canary` of the environment in cdk.json.")


def _paused(dag: str, *, comes: bool) -> PipelineError:
    if comes:
        what = "the DAG is new and paused, so its run would never start"
        mend = "Give it is_paused_upon_creation=False; or release it first, unpause it, and name it as `canary` then."
    else:
        what, mend = "the DAG is paused, so its run would never start", "Unpause it in Airflow."
    return PipelineError(what, where=_where(dag), mend=mend)


def _start(airflow: Airflow, dag: str, name: str) -> None:
    """Start a run; one of that name is it, started by a request whose answer did not arrive."""
    try:
        airflow.post(f"/dags/{dag}/dagRuns", {"dag_run_id": name, "logical_date": None})
    except AirflowAnswerError as error:
        if error.status != _CONFLICT:
            raise


def _state(airflow: Airflow, dag: str, name: str) -> str:
    # By listing: the path of one run may be longer than the 64 characters InvokeRestApi takes.
    runs = pages(airflow, f"/dags/{dag}/dagRuns", "dag_runs", order_by="-id")
    return next((str(run.get("state")) for run in runs if run.get("dag_run_id") == name), "not there yet")


def _failed_tasks(airflow: Airflow, dag: str, name: str) -> str:
    items = pages(airflow, "/dags/~/dagRuns/~/taskInstances", "task_instances", state="failed", order_by="-id")
    failed: list[Any] = [
        item["task_id"] for item in items if item.get("dag_id") == dag and item.get("dag_run_id") == name
    ]
    return f", in {', '.join(map(str, failed))}" if failed else ""
