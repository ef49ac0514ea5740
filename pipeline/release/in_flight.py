"""What runs in an Airflow at the moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.release.airflow import Airflow, pages


@dataclass(frozen=True)
class InFlight:
    """DAG id → how many of its runs are under way, and of its task instances.

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
    runs, tasks = (
        _count(airflow, path, member)
        for path, member in (
            ("/dags/~/dagRuns", "dag_runs"),
            ("/dags/~/dagRuns/~/taskInstances", "task_instances"),
        )
    )
    return InFlight(runs, tasks)


def _count(airflow: Airflow, path: str, member: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for item in pages(airflow, path, member, state="running"):
        dag = str(item["dag_id"])
        counted[dag] = counted.get(dag, 0) + 1
    return dict(sorted(counted.items()))
