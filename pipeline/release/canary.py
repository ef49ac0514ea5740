"""Running one DAG to its end in the released Airflow: the proof that tasks run, not only that files parse."""

import secrets
from collections.abc import Callable, Collection
from time import monotonic, sleep
from typing import Any

from pipeline.errors import PipelineError
from pipeline.release.airflow import Airflow, AirflowAnswerError, pages
from pipeline.release.verify import Seen

_LONGEST = 3600.0  # seconds
_POLL = 5.0
_NOT_FOUND = 404


def check(dag: str, before: Seen, released: Collection[str] | None) -> None:
    """Find out before anything is published whether the canary could run at all.

    | Airflow has it | the release has it | verdict                                     |
    | -------------- | ------------------ | ------------------------------------------- |
    | paused         | any                | refused: its run would never start          |
    | yes            | any                | may run                                     |
    | no             | no                 | refused                                     |
    | no             | yes, or not known  | comes with the release, and is judged there |

    Args:
        dag: The DAG's id.
        before: What Airflow says now.
        released: The DAGs of the release, as far as they are known.

    Raises:
        PipelineError: It is refused.
    """
    if dag in before.dags:
        if before.dags[dag].paused:
            raise _paused(dag)
    elif released is not None and dag not in released:
        raise _unknown(dag, "neither Airflow nor this release has such a DAG")


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
    where = _where(dag)
    try:
        described = airflow.get(f"/dags/{dag}")
    except AirflowAnswerError as error:
        if error.status != _NOT_FOUND:
            raise
        raise _unknown(dag, "Airflow has no such DAG") from None
    if described.get("is_paused"):
        raise _paused(dag)
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
            raise PipelineError(
                f"its run {name} failed{_failed_tasks(airflow, dag, name)}",
                where=where,
                mend="Its logs in Airflow say why. Correct it and push again.",
            )
        if monotonic() - started > longest:
            raise PipelineError(
                f"its run {name} is still {state} after {longest:g} s",
                where=where,
                mend="Its logs in Airflow say what it waits for. A canary should be small and quick.",
            )
        pause(_POLL)


def _where(dag: str) -> str:
    return f"Airflow, canary {dag}"


def _unknown(dag: str, what: str) -> PipelineError:
    return PipelineError(what, where=_where(dag), mend="Correct `canary` of the environment in cdk.json.")


def _paused(dag: str) -> PipelineError:
    return PipelineError(
        "the DAG is paused, so its run would never start", where=_where(dag), mend="Unpause it in Airflow."
    )


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
