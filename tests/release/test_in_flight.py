"""Waiting for runs before the images they run in are changed."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.release import in_flight
from pipeline.release.airflow import AirflowAnswerError
from pipeline.release.structure import Dag, Task

DAGS = {
    "orders": Dag(file="orders.py", tasks={"load": Task(operator="FargateOperator", containers=("load",))}),
    "report": Dag(file="report.py", tasks={"send": Task(operator="FargateOperator", containers=("report",))}),
    "plain": Dag(file="plain.py", tasks={"nothing": Task(operator="EmptyOperator")}),
}


class Airflow:
    """Its runs end one after the other, one at each look."""

    def __init__(self, *running: str) -> None:
        self.running = list(running)
        self.looks = 0

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        assert (path, (query or {}).get("state")) == ("/dags/~/dagRuns", "running")
        self.looks += 1
        found = [{"dag_id": dag} for dag in self.running[self.looks - 1 :]]
        return {"dag_runs": found, "total_entries": len(found)}

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        raise AssertionError(path, body)


def wait(airflow: Airflow, concerned: Callable[[str], bool], seconds: float = 60) -> list[str]:
    said: list[str] = []
    in_flight.wait_for_end(airflow, concerned, seconds, alive=lambda: None, tell=said.append, pause=lambda _: None)
    return said


@pytest.mark.parametrize(
    ("dags", "containers", "concerned"),
    [
        (DAGS, {"load"}, {"orders", "unknown"}),
        (DAGS, {"load", "report"}, {"orders", "report", "unknown"}),
        (None, {"load"}, {"orders", "report", "plain", "unknown"}),
        (
            {"plain": DAGS["plain"]},
            {"load"},
            {"orders", "report", "plain", "unknown"},
        ),  # none noted
    ],
)
def test_the_dags_that_run_a_container_are_concerned(
    dags: Mapping[str, Dag] | None, containers: set[str], concerned: set[str]
) -> None:
    judge = in_flight.running(dags, containers)
    assert {dag for dag in ("orders", "report", "plain", "unknown") if judge(dag)} == concerned


def test_it_waits_until_the_last_concerned_run_has_ended() -> None:
    airflow = Airflow("orders", "report", "orders", "plain", "plain")
    said = wait(airflow, in_flight.running(DAGS, {"load"}))
    assert airflow.looks == 4
    assert said == ["runs in flight end in the images they began with: waiting up to 60 s for orders"]


def test_nothing_is_said_when_nothing_is_in_flight() -> None:
    assert wait(Airflow("plain"), in_flight.running(DAGS, {"load"})) == []


def test_after_the_time_it_goes_on_and_says_who_is_still_in_flight() -> None:
    said = wait(Airflow("a", "b", "c", "d", "e", "f", "g"), lambda _: True, seconds=0)
    assert said == [
        "after 0 s still in flight: a, b, c, d, e and 2 more; tasks that start from now on run in the new images"
    ]


def test_an_airflow_that_is_busy_once_is_asked_again() -> None:
    class Busy(Airflow):
        def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
            found = super().get(path, query)
            if self.looks == 2:
                raise AirflowAnswerError(503, "restarting", where=path)
            return found

    said = wait(Busy("orders", "orders", "orders"), lambda _: True)
    assert said[1:] == ["Airflow is asked again: Airflow answers 503: restarting"]
