"""The table of `next_step`, row by row, and whole journeys through it."""

from dataclasses import replace

import pytest

from pipeline.localaws.codepipeline.definition import Pipeline, parse
from pipeline.localaws.codepipeline.progress import (
    ActionStatus,
    Do,
    Execution,
    Progress,
    Status,
    Step,
    after,
    next_step,
)
from tests.localaws.codepipeline.declarations import build, declaration, stage

RUNS, GOOD, BAD, LOST = ActionStatus.IN_PROGRESS, ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.ABANDONED


def pipeline(mode: str = "SUPERSEDED", retry: str = "") -> Pipeline:
    """Source → Test (a and b at once, then c) → Deploy."""
    on_failure = {"onFailure": {"result": "RETRY", "retryConfiguration": {"retryMode": retry}}} if retry else {}
    test = stage("Test", build("a"), build("b"), build("c", order=2), **on_failure)
    return parse(declaration(test, stage("Deploy", build("d")), executionMode=mode), version=1, region="eu-west-1")


def inside(name: str = "1", where: Pipeline | None = None, **actions: ActionStatus) -> Execution:
    """An execution in the stage Test."""
    return replace(Execution.new(name, where or pipeline()), place=1, inside=True, actions=actions)


def waiting(name: str = "1", where: Pipeline | None = None) -> Execution:
    """An execution at the door of Test."""
    return replace(Execution.new(name, where or pipeline()), place=1)


def step(*executions: Execution, closed: frozenset[str] = frozenset()) -> tuple[str, str, str] | None:
    """The next step as (what, execution, action)."""
    found = next_step(Progress(executions, closed))
    return (found.do.name, found.execution, found.action) if found else None


STOPPING = Status.STOPPING
QUEUED, PARALLEL = pipeline("QUEUED"), pipeline("PARALLEL")
RETRIES = pipeline(retry="FAILED_ACTIONS")

ROWS = [
    ("retries by itself", [inside(where=RETRIES, a=BAD, b=GOOD)], ("RETRY", "1", "")),
    ("retries once nothing runs", [inside(where=RETRIES, a=BAD, b=RUNS)], None),
    (
        "retries once only",
        [replace(inside(where=RETRIES, a=BAD, b=GOOD), retried=frozenset({"Test"}))],
        ("FAIL", "1", ""),
    ),
    ("an action failed", [inside(a=BAD, b=GOOD)], ("FAIL", "1", "")),
    ("an action failed beside one that runs", [inside(a=BAD, b=RUNS)], ("FAIL", "1", "")),
    ("an action was abandoned", [inside(a=LOST)], ("FAIL", "1", "")),
    ("nothing has started", [inside()], ("START", "1", "a")),
    ("one of two has started", [inside(a=RUNS)], ("START", "1", "b")),
    ("both run", [inside(a=RUNS, b=RUNS)], None),
    ("one of two has succeeded", [inside(a=GOOD, b=RUNS)], None),
    ("the first run order succeeded", [inside(a=GOOD, b=GOOD)], ("START", "1", "c")),
    ("the last run order runs", [inside(a=GOOD, b=GOOD, c=RUNS)], None),
    ("all succeeded", [inside(a=GOOD, b=GOOD, c=GOOD)], ("LEAVE", "1", "")),
    ("it stops, an action runs", [replace(inside(a=GOOD, b=RUNS), status=STOPPING)], None),
    ("it stops, none runs", [replace(inside(a=GOOD, b=BAD), status=STOPPING)], ("STOP", "1", "")),
    ("it stops at the door", [replace(waiting(), status=STOPPING)], ("STOP", "1", "")),
    ("a newer one waits too", [waiting("1"), waiting("2")], ("SUPERSEDE", "1", "")),
    ("a newer one waits elsewhere", [waiting("1"), replace(waiting("2"), place=2)], ("ENTER", "1", "")),
    ("another holds the stage", [inside("1", a=RUNS, b=RUNS), waiting("2")], None),
    (
        "another failed there",
        [replace(inside("1", a=BAD, b=GOOD), status=Status.FAILED), waiting("2")],
        ("ENTER", "2", ""),
    ),
    (
        "another failed there but an action of it runs",
        [replace(inside("1", a=BAD, b=RUNS), status=Status.FAILED), waiting("2")],
        None,
    ),
    (
        "another was cancelled there but its work runs",
        [replace(inside("1", a=RUNS), status=Status.CANCELLED), waiting("2")],
        None,
    ),
    ("queued behind an older one", [waiting("1", QUEUED), waiting("2", QUEUED)], ("ENTER", "1", "")),
    (
        "queued behind one inside",
        [inside("1", QUEUED, a=RUNS, b=RUNS), waiting("2", QUEUED), waiting("3", QUEUED)],
        None,
    ),
    ("parallel beside one inside", [inside("1", PARALLEL, a=RUNS, b=RUNS), waiting("2", PARALLEL)], ("ENTER", "2", "")),
    ("nobody there", [waiting()], ("ENTER", "1", "")),
    *[
        (f"it is {status}", [replace(inside(), status=status)], None)
        for status in (Status.STOPPED, Status.SUCCEEDED, Status.FAILED, Status.SUPERSEDED, Status.CANCELLED)
    ],
]


@pytest.mark.parametrize(
    ("executions", "expected"), [row[1:] for row in ROWS], ids=[row[0].replace(" ", "-") for row in ROWS]
)
def test_the_next_step(executions: list[Execution], expected: tuple[str, str, str] | None) -> None:
    assert step(*executions) == expected


def test_a_disabled_transition_keeps_everybody_out() -> None:
    assert step(waiting(), closed=frozenset({"Test"})) is None
    assert step(waiting(where=PARALLEL), closed=frozenset({"Test"})) is None


def test_at_a_closed_door_the_newer_one_still_supersedes() -> None:
    assert step(waiting("1"), waiting("2"), closed=frozenset({"Test"})) == ("SUPERSEDE", "1", "")


def settle(progress: Progress) -> Progress:
    """Do every step there is."""
    while found := next_step(progress):
        progress = after(progress, found)
    return progress


def finish(progress: Progress, execution: str, *actions: str, status: ActionStatus = GOOD) -> Progress:
    for action in actions:
        progress = settle(progress.with_action(execution, action, status))
    return progress


def started(progress: Progress, execution: str) -> list[str]:
    found = progress.execution(execution)
    assert found
    return [name for name, status in found.actions.items() if status is RUNS]


def status(progress: Progress, execution: str) -> Status:
    found = progress.execution(execution)
    assert found
    return found.status


def test_an_execution_travels_through_all_stages() -> None:
    progress = settle(Progress((Execution.new("1", pipeline()),)))
    assert started(progress, "1") == ["etl"]
    progress = finish(progress, "1", "etl")
    assert started(progress, "1") == ["a", "b"]
    progress = finish(progress, "1", "a", "b")
    assert started(progress, "1") == ["c"]
    progress = finish(progress, "1", "c", "d")
    assert status(progress, "1") is Status.SUCCEEDED
    assert progress.latest == {"Source": "1", "Test": "1", "Deploy": "1"}
    execution = progress.execution("1")
    assert execution
    assert execution.succeeded == {"Source", "Test", "Deploy"}


def test_of_three_commits_the_middle_one_is_superseded() -> None:
    where = pipeline()
    progress = finish(settle(Progress((Execution.new("1", where),))), "1", "etl")
    for name in ("2", "3"):
        progress = finish(settle(progress.with_execution(Execution.new(name, where))), name, "etl")
    assert [status(progress, name) for name in "123"] == [Status.IN_PROGRESS, Status.SUPERSEDED, Status.IN_PROGRESS]
    progress = finish(progress, "1", "a", "b", "c")
    assert started(progress, "1") == ["d"]
    assert started(progress, "3") == ["a", "b"]


def test_queued_executions_keep_their_order_through_every_stage() -> None:
    progress = Progress(tuple(Execution.new(name, QUEUED) for name in "123"))
    progress = settle(progress)
    assert [started(progress, name) for name in "123"] == [["etl"], [], []]
    progress = finish(progress, "1", "etl")
    progress = finish(progress, "2", "etl")
    progress = finish(progress, "3", "etl")
    assert [started(progress, name) for name in "123"] == [["a", "b"], [], []]
    progress = finish(progress, "1", "a", "b", "c")
    assert [started(progress, name) for name in "123"] == [["d"], ["a", "b"], []]


def test_parallel_executions_do_not_wait_for_each_other() -> None:
    progress = settle(Progress(tuple(Execution.new(name, PARALLEL) for name in "12")))
    progress = finish(finish(progress, "1", "etl"), "2", "etl")
    assert [started(progress, name) for name in "12"] == [["a", "b"], ["a", "b"]]


def test_a_stage_that_retries_by_itself_runs_the_failed_actions_once_more() -> None:
    progress = settle(Progress((waiting(where=RETRIES),)))
    progress = finish(progress, "1", "a")
    progress = finish(progress, "1", "b", status=BAD)
    assert started(progress, "1") == ["b"]
    progress = finish(progress, "1", "b", status=BAD)
    assert status(progress, "1") is Status.FAILED


def test_a_stage_may_retry_all_its_actions() -> None:
    progress = settle(Progress((waiting(where=pipeline(retry="ALL_ACTIONS")),)))
    progress = finish(finish(progress, "1", "a"), "1", "b", status=BAD)
    assert started(progress, "1") == ["a", "b"]


def test_every_step_says_why() -> None:
    for row in ROWS:
        found = next_step(Progress(tuple(row[1])))
        assert found is None or found.because, row[0]


def test_a_step_of_an_unknown_execution_is_an_error() -> None:
    with pytest.raises(KeyError, match="7"):
        after(Progress(), Step(Do.ENTER, "7", "Test"))
