"""What runs in an Airflow at the moment, and waiting until it has ended."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from pipeline.release.airflow import Airflow, AirflowAnswerError, AirflowUnreachableError, pages
from pipeline.release.structure import Dag

# What a task of a run under way is in while it works, or is about to: a container on Fargate is waited for deferred. In
# the order in which a task has them: one that goes on between two questions is counted twice rather than overlooked.
_TASK_STATES = ("queued", "running", "deferred")
POLL = 5.0  # seconds between two looks: a task in a container takes longer
_SHOWN = 5  # DAGs in a line


@dataclass(frozen=True)
class InFlight:
    """DAG id → how many of its runs are under way, and of its task instances, those that wait for a container included.

    Attributes:
        unknown: Why it could not be told; "" when it could.
    """

    runs: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    unknown: str = ""


def observe(airflow: Airflow) -> InFlight:
    """What runs now. A new release does not stop it; replacing workers may.

    Raises:
        AirflowUnreachableError: There was no answer.
        AirflowAnswerError: The answer is an error.
    """
    tasks = _count(airflow, "/dags/~/dagRuns/~/taskInstances", "task_instances", _TASK_STATES)
    return InFlight(_count(airflow, "/dags/~/dagRuns", "dag_runs"), tasks)


def running(dags: Mapping[str, Dag] | None, containers: Collection[str]) -> Callable[[str], bool]:
    """Whether a DAG, by its id, runs one of the containers; where that is not known, every DAG may.

    Args:
        dags: The structures of the DAGs that Airflow has now; None when they are not known.
        containers: Names of containers.
    """
    if dags is None or not any(dag.containers for dag in dags.values()):
        return lambda _: True
    return lambda dag_id: dag_id not in dags or not dags[dag_id].containers.isdisjoint(containers)


def wait_for_end(
    airflow: Airflow,
    concerned: Callable[[str], bool],
    seconds: float,
    *,
    alive: Callable[[], None],
    tell: Callable[[str], None],
    pause: Callable[[float], None],
) -> None:
    """Wait until the runs of some DAGs have ended; at the time limit it is said that some have not.

    An Airflow that is busy, or out of reach for a moment, is asked again.

    Args:
        airflow: The running Airflow.
        concerned: Whether a DAG, by its id, is waited for.
        seconds: How long to wait at most.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people whenever what is waited for changes.
        pause: Waits for a number of seconds.

    Raises:
        AirflowUnreachableError: There was no answer.
        AirflowAnswerError: The answer is an error.
    """
    started, said = monotonic(), ""
    while True:
        alive()
        try:
            names = [dag for dag in _count(airflow, "/dags/~/dagRuns", "dag_runs") if concerned(dag)]
        except (AirflowAnswerError, AirflowUnreachableError) as error:
            if not error.is_busy or monotonic() - started >= seconds:
                raise
            tell(f"Airflow is asked again: {error.what}")
            pause(POLL)
            continue
        if not names:
            return
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        if monotonic() - started >= seconds:
            tell(f"after {seconds:g} s still in flight: {shown}; tasks that start from now on run in the new images")
            return
        if shown != said:
            tell(f"runs in flight end in the images they began with: waiting up to {seconds:g} s for {shown}")
            said = shown
        pause(POLL)


def _count(airflow: Airflow, path: str, member: str, states: Sequence[str] = ("running",)) -> dict[str, int]:
    found = (str(item["dag_id"]) for state in states for item in pages(airflow, path, member, state=state))
    return dict(sorted(Counter(found).items()))
