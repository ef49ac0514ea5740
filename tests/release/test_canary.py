from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release import canary
from pipeline.release.airflow import AirflowAnswerError, AirflowUnreachableError
from pipeline.release.verdict import Dag, Seen
from tests.release.fakes import FakeAirflow, FakeClock


def run(airflow: FakeAirflow, longest: float = 60, *, comes: bool = False, needed: bool = True) -> list[str]:
    said: list[str] = []
    clock = FakeClock()
    canary.run(
        airflow,
        "smoke",
        alive=lambda: None,
        tell=said.append,
        comes=comes,
        needed=needed,
        pause=clock.pause,
        clock=clock,
        longest=longest,
    )
    return said


def airflow(*states: str) -> FakeAirflow:
    made = FakeAirflow(run_states=list(states))
    made.parse("smoke.py", "", "smoke")
    return made


def test_a_canary_is_followed_to_its_success() -> None:
    there = airflow("queued", "running", "success")
    assert run(there) == ["canary smoke: queued", "canary smoke: running", "canary smoke: success"]
    assert len(there.runs) == 1


def test_a_canary_that_fails_names_its_tasks() -> None:
    with pytest.raises(PipelineError, match=r"its run canary-\w+ failed, in smoke") as error:
        run(airflow("running", "failed"))
    assert error.value.where == "Airflow, canary smoke"


def test_a_canary_that_hangs_is_given_up() -> None:
    with pytest.raises(PipelineError, match="is still running after"):
        run(airflow("running"), longest=0)


def test_a_canary_that_is_not_there_or_paused_is_not_started() -> None:
    with pytest.raises(PipelineError, match="no such DAG"):
        run(FakeAirflow())
    paused = airflow("running")
    paused.dags["smoke"]["is_paused"] = True
    with pytest.raises(PipelineError, match="is paused"):
        run(paused)
    assert paused.runs == []


# The table of check's docstring: Airflow's, the release's, the former release's, and what becomes of a deploy and of a
# rollback: refused, with a canary, or without one.
@pytest.mark.parametrize(
    ("there", "released", "former", "deploy", "back"),
    [
        ("running", (), ("smoke",), "takes the DAG away", False),
        ("paused", (), ("smoke",), "takes the DAG away", False),
        ("running, goes", (), None, "takes the DAG away", False),
        ("", (), None, "neither Airflow nor this release has such a DAG", False),
        ("", (), ("smoke",), "neither Airflow nor this release has such a DAG", False),
        ("paused", ("smoke",), None, "is paused", "is paused"),
        ("paused", None, None, "is paused", "is paused"),
        ("running", ("smoke",), ("smoke",), True, True),
        ("running", (), (), True, True),
        ("running", (), None, True, True),
        ("running, goes", None, None, True, True),
        ("", ("smoke",), None, True, True),
        ("", None, ("smoke",), True, True),
    ],
)
def test_a_canary_that_could_not_run_is_refused_before_a_release(
    there: str,
    released: tuple[str, ...] | None,
    former: tuple[str, ...] | None,
    deploy: str | bool,
    back: str | bool,
) -> None:
    before = Seen({"smoke": Dag("smoke", "smoke.py", "t1", paused=there == "paused")} if there else {}, {})
    removed = {"smoke.py"} if "goes" in there else set()
    for is_back, verdict in ((False, deploy), (True, back)):
        if isinstance(verdict, str):
            with pytest.raises(PipelineError, match=verdict):
                canary.check("smoke", before, released, former=former, removed=removed, back=is_back)
        else:
            found = canary.check("smoke", before, released, former=former, removed=removed, back=is_back)
            assert found is verdict


def test_a_canary_that_comes_paused_is_told_how_to_come_otherwise() -> None:
    paused = airflow("running")
    paused.dags["smoke"]["is_paused"] = True
    with pytest.raises(PipelineError, match="new and paused") as error:
        run(paused, comes=True)
    assert "is_paused_upon_creation=False" in error.value.mend


def test_a_canary_that_is_not_needed_and_not_there_is_a_remark() -> None:
    assert run(FakeAirflow(), needed=False) == ["remark: Airflow has no DAG smoke any more, so no canary runs"]


class Shaky(FakeAirflow):
    """An Airflow that fails now and then: a request is carried out and its answer lost, or the web server restarts."""

    error: PipelineError = AirflowAnswerError(502, "bad gateway", where="post")
    times = 1

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        if self.runs and self.times > 0:
            self.times -= 1
            raise self.error
        return super().get(path, query)

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if any(each["dag_run_id"] == body["dag_run_id"] for each in self.runs):
            raise AirflowAnswerError(409, "there is such a run", where=path)
        super().post(path, body)
        raise self.error


def no_answer() -> AirflowUnreachableError:
    error = AirflowUnreachableError("connection reset")
    error.is_busy = True
    return error


@pytest.mark.parametrize("error", [AirflowAnswerError(503, "starting", where="x"), no_answer()], ids=["503", "reset"])
def test_an_airflow_that_is_busy_is_asked_again_and_runs_the_canary_once(error: PipelineError) -> None:
    there = Shaky()
    there.error = error
    there.parse("smoke.py", "", "smoke")
    said = run(there)
    assert said[-1] == "canary smoke: success"
    assert said.count(f"Airflow is asked again: {error.what}") == 2
    assert len(there.runs) == 1


def test_an_airflow_that_stays_busy_ends_the_canary_in_the_end() -> None:
    there = Shaky()
    there.times = 10_000
    there.parse("smoke.py", "", "smoke")
    with pytest.raises(AirflowAnswerError, match="502"):
        run(there)
