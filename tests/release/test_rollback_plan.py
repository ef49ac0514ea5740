import pytest

from pipeline.errors import PipelineError
from pipeline.release.bucket import Listed
from pipeline.release.plan import Action
from pipeline.release.record import PartRecord, ReleaseRecord
from pipeline.release.rollback import Standing, decide, default_target
from tests.release.values import FIRST, SECOND, file_record, listed, md5, release

KEY = "dags/a.py"
THIRD = "20261107T121500Z-c0ffee3-0003"


@pytest.mark.parametrize(
    ("recorded", "there", "keep", "action"),
    [
        (True, "hand", ("a.py",), Action.LEAVE),
        (True, "one", (), Action.KEEP),
        (True, "two", (), Action.RESTORE),
        (True, None, (), Action.RESTORE),
        (False, "two", (), Action.DELETE),
    ],
)
def test_each_row_of_the_table(recorded: bool, there: str | None, keep: tuple[str, ...], action: Action) -> None:
    target = release({KEY: file_record("one", version="v7")} if recorded else {})
    (row,) = decide(target, Standing(), {KEY: listed(there)} if there else {}, keep).rows
    assert row.action is action
    assert row.version == ("v7" if action is Action.RESTORE else "")


FILES = {
    "dags/helper.py": ("h", 1),
    "dags/dag.py": ("d", 2),
    "dags/lost_helper.py": ("l", 1),
    "dags/lost_dag.py": ("m", 2),
}


def holding(version: int, *names: str, **given: str) -> ReleaseRecord:
    return release({key: file_record(f"{FILES[key][0]}{version}", level=FILES[key][1]) for key in names}, **given)


HELPER, DAG, LOST_HELPER, LOST_DAG = FILES


def order(target: ReleaseRecord, standing: Standing, listing: dict[str, Listed]) -> list[str]:
    rows = decide(target, standing, listing).changes
    assert len({row.phase for row in rows}) == len(rows), "one after the other"
    return [row.key for row in rows]


def test_on_the_way_back_what_is_missing_comes_first_then_dags_go_before_helpers() -> None:
    target = holding(1, *FILES, id=FIRST)
    current = holding(2, HELPER, DAG, id=SECOND)
    listing = {HELPER: listed("h2"), DAG: listed("d2")}
    assert order(target, Standing(current), listing) == [LOST_HELPER, LOST_DAG, DAG, HELPER]


def test_on_the_way_forward_helpers_go_before_dags() -> None:
    target, current = holding(2, HELPER, DAG, id=SECOND), holding(1, HELPER, DAG, id=FIRST)
    listing = {HELPER: listed("h1"), DAG: listed("d1")}
    assert order(target, Standing(current), listing) == [HELPER, DAG]
    back_again = holding(1, HELPER, DAG, id=THIRD, kind="rollback", restores=FIRST)
    assert order(target, Standing(back_again), listing) == [HELPER, DAG], "however late the rollback was made"


def test_a_dag_the_target_does_not_know_goes_before_its_helper_goes_back() -> None:
    target = holding(1, HELPER, id=FIRST)
    listing = {HELPER: listed("h2"), DAG: listed("d2")}
    assert order(target, Standing(holding(2, HELPER, DAG, id=SECOND)), listing) == [DAG, HELPER]
    assert order(target, Standing(holding(2, HELPER, id=SECOND)), listing) == [DAG, HELPER], "a stranger"
    assert order(target, Standing(levels={DAG: 2, HELPER: 1}), listing) == [DAG, HELPER], "of a failed deploy"


def test_a_helper_the_target_does_not_know_goes_after_its_dag_went_back() -> None:
    listing = {HELPER: listed("h2"), DAG: listed("d2")}
    current = holding(2, HELPER, DAG, id=SECOND)
    assert order(holding(1, DAG, id=FIRST), Standing(current), listing) == [DAG, HELPER]


def test_a_mix_left_by_an_interrupted_rollback_is_sorted_out_file_by_file() -> None:
    current = release({LOST_DAG: file_record("m3", level=2), **holding(3, HELPER, DAG).files}, id=THIRD)
    target = release({LOST_DAG: file_record("m2", level=2), **holding(2, HELPER, DAG).files}, id=SECOND)
    listing = {HELPER: listed("h1"), DAG: listed("d1"), LOST_DAG: listed("m3")}  # FIRST was being restored
    assert order(target, Standing(current, interrupted=FIRST), listing) == [HELPER, DAG, LOST_DAG]


@pytest.mark.parametrize(
    ("current", "target", "last"), [(SECOND, FIRST, True), (FIRST, SECOND, False), (None, FIRST, False)]
)
def test_on_the_way_back_mwaa_gets_the_parts_after_the_files(current: str | None, target: str, last: bool) -> None:
    standing = Standing(release(id=current) if current else None)
    assert decide(release(id=target), standing, {}).parts_last is last


def part(content: str) -> PartRecord:
    return PartRecord(key="requirements.txt", sha256=md5(content) * 2, version=f"version of {content}")


def test_parts_go_back_to_their_recorded_version() -> None:
    target = release(parts={"requirements": part("old")})
    current = release(parts={"requirements": part("new"), "startup": part("s")}, id=SECOND)
    rows = {row.name: (row.action, row.version) for row in decide(target, Standing(current), {}).parts}
    assert rows == {"requirements": (Action.RESTORE, "version of old"), "startup": (Action.UPLOAD, "")}


def test_parts_that_are_unsettled_go_back_whatever_the_current_release_says() -> None:
    target = release(parts={"requirements": part("same")})
    current = release(parts={"requirements": part("same")}, id=SECOND)
    rows = decide(target, Standing(current, unsettled=("requirements", "startup")), {}).parts
    assert [(row.name, row.action) for row in rows] == [("requirements", Action.RESTORE), ("startup", Action.UPLOAD)]


def test_the_default_is_the_release_before() -> None:
    assert default_target(release(id=SECOND, previous=FIRST), None) == FIRST


def test_after_a_rollback_the_default_is_not_the_release_that_was_left() -> None:
    restored = release(id=SECOND, previous=FIRST)
    current = release(id=THIRD, kind="rollback", restores=SECOND, previous=THIRD)
    assert default_target(current, restored) == FIRST


def test_before_the_first_release_there_is_nothing() -> None:
    with pytest.raises(PipelineError, match="is the first release"):
        default_target(release(), None)
