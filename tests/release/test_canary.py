import pytest

from pipeline.errors import PipelineError
from pipeline.release import canary
from pipeline.release.verify import Dag, Seen
from tests.release.fakes import FakeAirflow


def run(airflow: FakeAirflow, longest: float = 60) -> list[str]:
    said: list[str] = []
    canary.run(airflow, "smoke", alive=lambda: None, tell=said.append, pause=lambda _: None, longest=longest)
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


# The table of check's docstring: Airflow's, the release's, what is refused.
@pytest.mark.parametrize(
    ("there", "released", "refused"),
    [
        ("paused", ("smoke",), "is paused"),
        ("paused", None, "is paused"),
        ("running", (), ""),
        ("", (), "neither Airflow nor this release has such a DAG"),
        ("", ("smoke",), ""),
        ("", None, ""),
    ],
)
def test_a_canary_that_could_not_run_is_refused_before_a_release(
    there: str, released: tuple[str, ...] | None, refused: str
) -> None:
    dags = {"smoke": Dag("smoke", "smoke.py", "t1", paused=there == "paused")} if there else {}
    if refused:
        with pytest.raises(PipelineError, match=refused):
            canary.check("smoke", Seen(dags, {}), released)
    else:
        canary.check("smoke", Seen(dags, {}), released)
