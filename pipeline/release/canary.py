"""Running one DAG to its end in the released Airflow: the proof that tasks run, not only that files parse."""

import secrets
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from pipeline.errors import PipelineError
from pipeline.release.airflow import Airflow, AirflowAnswerError, pages

_LONGEST = 3600.0  # seconds
_POLL = 5.0
_NOT_FOUND = 404


def run(
    airflow: Airflow,
    dag: str,
    *,
    alive: Callable[[], None],
    tell: Callable[[str], None],
    pause: Callable[[float], None] = sleep,
    longest: float = _LONGEST,
) -> None:
    """Start a run of a DAG and wait for its success.

    Args:
        airflow: The running Airflow.
        dag: The DAG's id. It should be made for this: small, quick, and free to run at any time.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people whenever the run's state changes.
        pause: Waits for a number of seconds.
        longest: Seconds the run may take.

    Raises:
        PipelineError: There is no such DAG, it is paused, or its run did not succeed; failed tasks are named.
        AirflowUnreachableError: Airflow stopped answering.
    """
    where = f"Airflow, canary {dag}"
    try:
        described = airflow.get(f"/dags/{dag}")
    except AirflowAnswerError as error:
        if error.status != _NOT_FOUND:
            raise
        raise PipelineError(
            "Airflow has no such DAG", where=where, mend="Correct `canary` of the environment in cdk.json."
        ) from None
    if described.get("is_paused"):
        raise PipelineError(
            "the DAG is paused, so its run would never start", where=where, mend="Unpause it in Airflow."
        )
    name = f"canary-{secrets.token_hex(4)}"
    airflow.post(f"/dags/{dag}/dagRuns", {"dag_run_id": name, "logical_date": None})
    started, said = monotonic(), ""
    while True:
        alive()
        state = _state(airflow, dag, name)
        if state != said:
            said = state
            tell(f"canary {dag}: {state}")
        if state == "success":
            return
        if state == "failed":
            raise PipelineError(f"its run {name} failed{_failed_tasks(airflow, dag, name)}", where=where)
        if monotonic() - started > longest:
            raise PipelineError(f"its run {name} is still {state} after {longest:g} s", where=where)
        pause(_POLL)


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
