import pytest

from pipeline.errors import PipelineError
from pipeline.release.plan import Action
from pipeline.release.record import PartRecord
from pipeline.release.rollback import decide, default_target
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
    (row,) = decide(target, None, {KEY: listed(there)} if there else {}, keep).rows
    assert row.action is action
    assert row.version == ("v7" if action is Action.RESTORE else "")


def test_missing_files_come_first_then_dags_before_helpers_then_deletions() -> None:
    target = release(
        {
            "dags/helper.py": file_record("h1", level=1),
            "dags/dag.py": file_record("d1", level=2),
            "dags/lost_helper.py": file_record("l1", level=1),
            "dags/lost_dag.py": file_record("m1", level=2),
        }
    )
    listing = {"dags/helper.py": listed("h2"), "dags/dag.py": listed("d2"), "dags/new.py": listed("n2")}
    assert [row.key for row in decide(target, None, listing).changes] == [
        "dags/lost_helper.py",
        "dags/lost_dag.py",
        "dags/dag.py",
        "dags/helper.py",
        "dags/new.py",
    ]
    assert len({row.phase for row in decide(target, None, listing).changes}) == 5


def part(content: str) -> PartRecord:
    return PartRecord(key="requirements.txt", sha256=md5(content) * 2, version=f"version of {content}")


def test_parts_go_back_to_their_recorded_version() -> None:
    target = release(parts={"requirements": part("old")})
    current = release(parts={"requirements": part("new"), "startup": part("s")}, id=SECOND)
    rows = {row.name: (row.action, row.version) for row in decide(target, current, {}).parts}
    assert rows == {"requirements": (Action.RESTORE, "version of old"), "startup": (Action.UPLOAD, "")}


def test_the_default_is_the_release_before() -> None:
    assert default_target(release(id=SECOND, previous=FIRST), None) == FIRST


def test_after_a_rollback_the_default_is_not_the_release_that_was_left() -> None:
    restored = release(id=SECOND, previous=FIRST)
    current = release(id=THIRD, kind="rollback", restores=SECOND, previous=THIRD)
    assert default_target(current, restored) == FIRST


def test_before_the_first_release_there_is_nothing() -> None:
    with pytest.raises(PipelineError, match="is the first release"):
        default_target(release(), None)
