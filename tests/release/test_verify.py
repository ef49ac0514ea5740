from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release.airflow import AirflowAnswerError, AirflowUnreachableError
from pipeline.release.verdict import Dag, Expectation, Seen, judge
from pipeline.release.verify import Patience, observe, verify
from tests.release.fakes import FakeAirflow, FakeClock

NOW = Patience(copied=0, settled=0, deadline=0.2, poll=0)
NOTHING = Seen({}, {})


def seen(*dags: Dag, errors: dict[str, str] | None = None) -> Seen:
    return Seen({dag.id: dag for dag in dags}, errors or {})


def check(airflow: FakeAirflow, expectation: Expectation, before: Seen, patience: Patience = NOW) -> list[str]:
    said: list[str] = []
    verify(
        airflow,
        expectation,
        before,
        alive=lambda: None,
        tell=said.append,
        patience=patience,
        pause=lambda _: None,
    )
    return said


def after_two_looks(text: str, *ids: str) -> Callable[[FakeAirflow], None]:
    """Airflow parses a.py again, but not at once."""

    def look(now: FakeAirflow) -> None:
        if len(now.asked) > 6:
            now.parse("a.py", text, *ids)

    return look


def test_a_changed_dag_is_proven_by_the_source_airflow_parsed() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "old", "a")
    before = observe(airflow)
    airflow.each_look = after_two_looks("new\n", "a")
    said = check(airflow, Expectation(changed={"a.py": "new\r\n"}), before)
    assert said == ["1 to come: a has not been parsed from the new a.py"]


def test_an_old_dag_parsed_again_from_the_old_file_is_not_enough() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "old", "a")
    before = observe(airflow)
    airflow.each_look = lambda now: now.parse("a.py", "old", "a")
    with pytest.raises(PipelineError, match=r"a has not been parsed from the new a\.py"):
        check(airflow, Expectation(changed={"a.py": "new"}), before)


def test_a_new_dag_must_appear() -> None:
    with pytest.raises(PipelineError, match=r"no DAG of a\.py has appeared"):
        check(FakeAirflow(), Expectation(changed={"a.py": "new"}, defining=frozenset({"a.py"})), NOTHING)


def test_a_file_that_only_looks_as_if_it_defined_a_dag_is_a_remark_in_the_end() -> None:
    said = check(FakeAirflow(), Expectation(changed={"a.py": "new"}), NOTHING)
    assert said == [
        "1 to come: no DAG of a.py has appeared",
        "remark: no DAG of a.py has appeared within 0.2 s; the release stays, for it may define none",
    ]


def test_before_airflow_can_have_copied_the_files_nothing_is_proven() -> None:
    clock = FakeClock()
    said: list[str] = []
    verify(
        FakeAirflow(),
        Expectation(settles=True),
        NOTHING,
        alive=lambda: None,
        tell=said.append,
        pause=clock.pause,
        clock=clock,
    )
    assert clock.now >= Patience().settled
    assert said == ["1 to come: Airflow has not had the time to copy and read all of it"] * 2, (
        "at first, after a minute"
    )


def test_a_slow_look_shows_what_was_there_when_it_began() -> None:
    clock = FakeClock()
    airflow = FakeAirflow()
    airflow.parse("a.py", "", "a")
    before = observe(airflow)
    looks: list[float] = []

    def slow(now: FakeAirflow) -> None:
        if len(looks) == 1:
            now.parse("a.py", "", "a")  # while the first look was being answered, and before the copy
        looks.append(clock.now)
        clock.pause(40)

    airflow.each_look = slow
    patience = Patience(copied=35, settled=35, deadline=200, poll=0)
    with pytest.raises(PipelineError, match="a has not been parsed since"):
        verify(
            airflow,
            Expectation(affected=frozenset({"a.py"})),
            before,
            alive=lambda: None,
            tell=lambda _: None,
            patience=patience,
            pause=clock.pause,
            clock=clock,
        )


def test_an_error_that_an_interrupted_release_may_have_brought_counts_though_it_was_there_before() -> None:
    airflow = FakeAirflow()
    airflow.parse("b.py", "", error="trouble")
    with pytest.raises(PipelineError, match="trouble"):
        check(airflow, Expectation(blamed=frozenset({"b.py"})), observe(airflow))


def test_an_edit_that_takes_all_dags_out_of_a_file_is_done_when_they_are_gone() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "old", "a")
    before = observe(airflow)
    airflow.each_look = after_two_looks("# nothing left\n")
    said = check(airflow, Expectation(changed={"a.py": "# nothing left\n"}), before)
    assert said == ["1 to come: a has not been parsed from the new a.py"]


def test_a_new_import_error_fails_with_its_trace() -> None:
    airflow = FakeAirflow()
    airflow.parse("b.py", "text", "b")
    before = observe(airflow)
    trace = "Traceback\nModuleNotFoundError: No module named 'nope'"
    airflow.each_look = lambda now: now.parse("b.py", "text", error=trace)
    with pytest.raises(PipelineError, match="No module named 'nope'") as error:
        check(airflow, Expectation(), before)
    assert error.value.what.startswith("b.py has an import error")


def test_an_import_error_that_was_there_before_is_not_this_release_s() -> None:
    airflow = FakeAirflow()
    airflow.parse("b.py", "", error="old trouble")
    check(airflow, Expectation(), observe(airflow))


def test_a_changed_file_must_be_free_of_errors_even_if_it_had_one() -> None:
    airflow = FakeAirflow()
    airflow.parse("b.py", "", error="old trouble")
    with pytest.raises(PipelineError, match="old trouble"):
        check(airflow, Expectation(changed={"b.py": "new"}), observe(airflow))


def test_an_error_of_a_half_copied_folder_passes() -> None:
    airflow = FakeAirflow()
    before = observe(airflow)
    airflow.parse("a.py", "new", error="ImportError: helper is not there yet")

    def look(now: FakeAirflow) -> None:
        if len(now.asked) > 6:
            now.parse("a.py", "new", "a")

    airflow.each_look = look
    check(airflow, Expectation(changed={"a.py": "new"}), before, Patience(copied=0, settled=60, deadline=60, poll=0))


def test_a_dag_of_a_removed_file_must_go() -> None:
    airflow = FakeAirflow()
    airflow.parse("gone.py", "", "gone")
    with pytest.raises(PipelineError, match=r"gone of the removed gone\.py is still there"):
        check(airflow, Expectation(removed=frozenset({"gone.py"})), observe(airflow))
    airflow.remove("gone.py")
    check(airflow, Expectation(removed=frozenset({"gone.py"})), NOTHING)


def test_who_imports_a_changed_helper_must_be_parsed_after_the_copy() -> None:
    old, again = Dag("a", "a.py", "t1"), Dag("a", "a.py", "t2")
    affected = Expectation(affected=frozenset({"a.py"}))

    def waiting(mark: Seen | None, now: Dag) -> int:
        return len(judge(affected, seen(old), mark, seen(now), {}, settled=False).waiting)

    assert waiting(None, again) == 1, "it may have been parsed before the copy"
    assert waiting(seen(again), again) == 1
    assert waiting(seen(old), again) == 0


def test_a_dag_whose_source_cannot_be_asked_for_is_judged_by_time() -> None:
    name = "d" * 60
    airflow = FakeAirflow()
    airflow.parse("a.py", "new", name)
    before = observe(airflow)
    airflow.each_look = lambda now: now.parse("a.py", "new", name)
    check(airflow, Expectation(changed={"a.py": "new"}), before)
    assert not any(path.startswith("/dagSources") for path in airflow.asked)


class Busy(FakeAirflow):
    """An Airflow that answers a path with an error for so many times, as one that is asked too often does."""

    path: str = "/dagSources/a"
    status: int = 429
    times: int = 1
    error: PipelineError | None = None

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        if path == self.path and self.times > 0:
            self.times -= 1
            raise self.error or AirflowAnswerError(self.status, "not now", where=path)
        return super().get(path, query)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("path", ["/dags", "/dagSources/a"])
def test_an_airflow_that_is_busy_for_a_while_proves_nothing_against_a_release(path: str, status: int) -> None:
    airflow = Busy()
    airflow.path, airflow.status = path, status
    airflow.parse("a.py", "new", "a")
    said = check(airflow, Expectation(changed={"a.py": "new"}), NOTHING)
    assert said == [f"Airflow is asked again: Airflow answers {status}: not now"]


def test_an_airflow_that_is_busy_to_the_end_fails_it() -> None:
    airflow = Busy()
    airflow.times = 10_000_000
    airflow.parse("a.py", "new", "a")
    with pytest.raises(AirflowAnswerError, match="429"):
        check(airflow, Expectation(changed={"a.py": "new"}), NOTHING)


def test_a_source_that_was_seen_is_not_asked_for_again() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "new", "a")

    def look(now: FakeAirflow) -> None:
        now.parse("a.py", "new", "a")
        if now.asked.count("/dags") > 3:
            now.parse("b.py", "new", "b")

    airflow.each_look = look
    check(airflow, Expectation(changed={"a.py": "new", "b.py": "new"}, defining=frozenset({"b.py"})), NOTHING)
    assert airflow.asked.count("/dagSources/a") == 1


def test_an_error_that_airflow_has_not_found_again_since_the_copy_is_waited_for() -> None:
    def seen_at(when: str) -> Seen:
        return Seen({}, {"a.py": "Traceback"}, {"a.py": when} if when else {})

    def verdict(now: Seen, mark: Seen) -> tuple[int, int]:
        found = judge(Expectation(), NOTHING, mark, now, {}, settled=True)
        return len(found.failures), len(found.waiting)

    assert verdict(seen_at("t1"), mark=seen_at("t1")) == (0, 1)
    assert verdict(seen_at("t2"), mark=seen_at("t1")) == (1, 0)
    assert verdict(seen_at("t1"), mark=NOTHING) == (1, 0)
    assert verdict(seen_at(""), mark=seen_at("")) == (1, 0), "an Airflow that does not say when"


def test_when_an_error_was_found_is_read() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "", error="trouble")
    first = observe(airflow).found
    airflow.parse("a.py", "", error="trouble")
    assert set(first) == {"a.py"}
    assert observe(airflow).found != first


@pytest.mark.parametrize("files", [1, 50])
def test_of_files_with_many_dags_one_source_each_is_asked_for_and_the_lock_kept_meanwhile(files: int) -> None:
    airflow = FakeAirflow()
    clock = FakeClock()
    signs: list[int] = []

    def look(now: FakeAirflow) -> None:
        for file in range(files):
            now.parse(f"{file}.py", "new", *(f"d{file}-{number}" for number in range(200 // files)))

    look(airflow)
    before = observe(airflow)
    airflow.each_look = look
    verify(
        airflow,
        Expectation(changed={f"{file}.py": "new" for file in range(files)}),
        before,
        alive=lambda: signs.append(len(airflow.asked)),
        tell=lambda _: None,
        pause=clock.pause,
        clock=clock,
    )
    sources = [number for number, path in enumerate(airflow.asked) if path.startswith("/dagSources")]
    assert len(sources) == files
    assert set(sources) <= set(signs), "before every one"


def test_a_connection_that_fails_once_proves_nothing_against_a_release() -> None:
    airflow = Busy()
    airflow.error = AirflowUnreachableError("connection reset")
    airflow.error.is_busy = True
    airflow.parse("a.py", "new", "a")
    assert check(airflow, Expectation(changed={"a.py": "new"}), NOTHING) == ["Airflow is asked again: connection reset"]
    airflow.times, airflow.error.is_busy = 1, False
    with pytest.raises(AirflowUnreachableError):
        check(airflow, Expectation(changed={"a.py": "new"}), NOTHING)


def test_a_long_patience_is_said_with_its_reason() -> None:
    said = check(FakeAirflow(), Expectation(), NOTHING, replace(NOW, deadline=1470, because="an_option is 900"))
    assert said == ["Airflow may take up to 24 min to take it over, for an_option is 900"]


def test_every_page_is_read() -> None:
    airflow = FakeAirflow()
    for number in range(250):
        airflow.parse(f"{number}.py", "", f"dag{number}")
    assert len(observe(airflow).dags) == 250
    assert airflow.asked.count("/dags") == 3


def test_a_stale_dag_is_gone() -> None:
    airflow = FakeAirflow()
    airflow.parse("a.py", "", "a")
    airflow.dags["a"]["is_stale"] = True
    assert observe(airflow).dags == {}


def test_whole_paths_are_understood_too() -> None:
    airflow = FakeAirflow(
        dags={"a": {"dag_id": "a", "relative_fileloc": None, "fileloc": "/usr/local/airflow/dags/x/a.py"}},
        errors={"/usr/local/airflow/dags/b.py": "trace"},
    )
    now = observe(airflow)
    assert (now.dags["a"].file, list(now.errors)) == ("x/a.py", ["b.py"])
