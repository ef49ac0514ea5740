"""How long a release is waited for while an Airflow gets on with it, and what is said meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release.verdict import Expectation
from pipeline.release.verify import Patience, observe, verify
from tests.release.fakes import FakeAirflow, FakeClock


class Parsing(FakeAirflow):
    """An Airflow that parses files one after the other, each so many seconds after the one before it."""

    def __init__(
        self, clock: FakeClock, files: int, seconds: float, *, start: float = 60, last: int | None = None
    ) -> None:
        super().__init__()
        for number in range(files):
            self.parse(f"{number:04}.py", "", f"d{number:04}")
        done = iter(range(last or files))

        def look(now: FakeAirflow) -> None:
            for _ in range(int((clock.now - start) / seconds) - len(again)):
                if (number := next(done, None)) is not None:
                    again.append(number)
                    now.parse(f"{number:04}.py", "", f"d{number:04}")

        again: list[int] = []
        self.each_look = look


def wait(airflow: FakeAirflow, expectation: Expectation, clock: FakeClock, said: list[str], **given: Any) -> None:
    patience = replace(Patience(), **given)
    before = observe(airflow)
    verify(
        airflow,
        expectation,
        before,
        alive=lambda: None,
        tell=said.append,
        patience=patience,
        pause=clock.pause,
        clock=clock,
    )


def all_affected(count: int) -> Expectation:
    return Expectation(affected=frozenset(f"{number:04}.py" for number in range(count)))


def test_an_airflow_that_gets_on_is_waited_for_beyond_the_deadline_and_says_how_far_it_is() -> None:
    clock, said = FakeClock(), list[str]()
    wait(Parsing(clock, 400, seconds=3), all_affected(400), clock, said)
    assert clock.now > 1200 > Patience().deadline
    assert said[0] == "400 to come: d0000 has not been parsed since what 0000.py imports changed"
    assert any(line.startswith("200 of 400 to come: ") for line in said)


def test_a_number_that_falls_is_told_every_minute_though_the_first_stays_the_same() -> None:
    clock, said = FakeClock(), list[str]()
    airflow = Parsing(clock, 300, seconds=3)
    look = airflow.each_look

    def but_the_first(now: FakeAirflow) -> None:
        look(now)
        now.dags["d0000"]["last_parsed_time"] = "t1" if clock.now < 1000 else "t2"

    airflow.each_look = but_the_first
    wait(airflow, all_affected(300), clock, said)
    assert len(said) >= 1000 / 60 - 1
    assert len({line.partition(" to come")[0] for line in said}) > 10


def test_an_airflow_that_gets_on_no_longer_is_given_up_and_the_rest_is_counted() -> None:
    clock = FakeClock()
    with pytest.raises(PipelineError, match=r"not within 9\d\d s, 120 of 400 to come: d0280 has .*; and 110 more"):
        wait(Parsing(clock, 400, seconds=3, last=280), all_affected(400), clock, [])
    assert clock.now < 60 + 280 * 3 + Patience().settled + 10


def test_an_airflow_that_gets_on_is_given_up_when_the_longest_time_is_over() -> None:
    clock = FakeClock()
    with pytest.raises(PipelineError, match="not within 1000 s"):
        wait(Parsing(clock, 400, seconds=3), all_affected(400), clock, [], longest=1000)


def test_a_time_that_airflow_s_options_make_longer_than_the_longest_counts() -> None:
    clock = FakeClock()
    with pytest.raises(PipelineError, match="not within 5000 s"):
        wait(Parsing(clock, 2, seconds=9000), all_affected(2), clock, [], deadline=5000)


def test_a_file_that_should_define_a_dag_and_defines_none_is_a_remark_where_airflow_parses_others() -> None:
    clock, said = FakeClock(), list[str]()
    here = Expectation(changed={"dev_only.py": "new"}, defining=frozenset({"dev_only.py"}))
    wait(Parsing(clock, 1, seconds=30), here, clock, said)
    assert said[-1].startswith("remark: no DAG of dev_only.py has appeared within 600 s; the release stays")
    with pytest.raises(PipelineError, match=r"not within 600 s: no DAG of dev_only\.py has appeared"):
        wait(Parsing(clock, 1, seconds=9000), here, clock, said)
