"""Plans and histories as people read them."""

import pytest

from pipeline.release.plan import Action, PartRow, Plan, Row
from pipeline.release.record import PARTS, PartName
from pipeline.release.show import history_lines, plan_document, plan_lines
from tests.release.values import FIRST, SECOND, release

ROWS = (Row(Action.RESTORE, "dags/a.py", "differs"),)


@pytest.mark.parametrize(
    ("rows", "parts_last", "when"),
    [
        (ROWS, False, "which takes a while, and only then the DAG files follow"),
        (ROWS, True, "once the DAG files are back: these take seconds, the workers a while"),
        ((), True, "which takes a while"),
    ],
)
def test_a_plan_says_when_workers_are_replaced(rows: tuple[Row, ...], parts_last: bool, when: str) -> None:
    parts = (PartRow(Action.RESTORE, "requirements", "differs now"),)
    plan = Plan("dev", FIRST, rows, parts, (), parts_last=parts_last)
    assert list(plan_lines(plan, "FORCED"))[-1] == f"  MWAA will replace its workers (FORCED), {when}"


@pytest.mark.parametrize(("settled", "replaces"), [((), None), (("plugins",), True)])
def test_parts_that_mwaa_may_have_already_do_not_surely_replace_workers(
    settled: tuple[PartName, ...], replaces: bool | None
) -> None:
    parts = tuple(PartRow(Action.RESTORE, name, "", unsettled=name not in settled) for name in PARTS)
    plan = Plan("dev", FIRST, (), parts, ())
    assert list(plan_lines(plan, "FORCED"))[-1].endswith("not if it runs with these versions already") is not replaces
    assert plan_document(plan)["replaces_workers"] is replaces


def test_a_release_of_files_that_nobody_committed_says_so() -> None:
    rolled_back = release(id=SECOND, kind="rollback", restores=FIRST, uncommitted=True, verified=True)
    lines = list(history_lines([rolled_back, release(uncommitted=True), release()], SECOND))
    assert lines == [
        f"* {SECOND}  c0ffee1     rollback to {FIRST} with uncommitted changes, verified, 0 files, by ann@laptop",
        f"  {FIRST}  c0ffee1     deploy with uncommitted changes, not verified, 0 files, by ann@laptop",
        f"  {FIRST}  c0ffee1     deploy, not verified, 0 files, by ann@laptop",
    ]
