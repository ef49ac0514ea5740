import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.release.bucket import ABSENT, Listed
from pipeline.release.plan import EMPTY_PARTS, Action, Plan, decide, unclear, wanted_parts
from pipeline.release.record import PartRecord, ReleaseRecord, TaskRecord
from pipeline.release.tree import Source
from tests.release.values import ARN, FIRST, file_record, listed, md5, release, source

KEY = "dags/a.py"


def plan(
    wanted: dict[str, Source],
    record: ReleaseRecord | None,
    listing: dict[str, Listed],
    keep: tuple[str, ...] = (),
    **given: object,
) -> Plan:
    return decide(
        "dev",
        wanted=wanted,
        parts=given.get("parts", {}),  # type: ignore[arg-type]
        tasks=given.get("tasks", {}),  # type: ignore[arg-type]
        record=record,
        listing=listing,
        keep=keep,
        unsettled=given.get("unsettled", ()),  # type: ignore[arg-type]
        stored=given.get("stored"),  # type: ignore[arg-type]
        unfinished=bool(given.get("unfinished")),
    )


# The table of decide's docstring, row by row: tree, record, bucket, action, start of the reason, drift.
@pytest.mark.parametrize(
    ("tree", "recorded", "there", "action", "reason", "drift"),
    [
        ("one", "one", "one", Action.KEEP, "unchanged", False),
        ("two", "one", "one", Action.UPLOAD, "changed", False),
        ("one", None, None, Action.UPLOAD, "new", False),
        ("two", "one", "two", Action.ADOPT, "already there", False),
        ("one", None, "one", Action.ADOPT, "already there", False),
        ("one", "one", None, Action.UPLOAD, "deleted by hand", True),
        ("two", "one", None, Action.UPLOAD, "deleted by hand", True),
        ("one", "one", "hand", Action.UPLOAD, "changed by hand", True),
        ("two", "one", "hand", Action.UPLOAD, "changed by hand", True),
        ("one", None, "hand", Action.UPLOAD, "put there by hand", True),
        (None, "one", "one", Action.DELETE, "removed", False),
        (None, "one", "hand", Action.DELETE, "removed; it had been changed by hand", True),
        (None, None, "hand", Action.DELETE, "put there by hand", True),
        (None, "one", None, Action.ADOPT, "removed, and already gone", False),
    ],
)
def test_each_row_of_the_table(  # noqa: PLR0917 - the table's columns
    tree: str | None, recorded: str | None, there: str | None, action: Action, reason: str, drift: bool
) -> None:
    made = plan(
        {KEY: source(KEY, tree)} if tree else {},
        release({KEY: file_record(recorded)} if recorded else {}),
        {KEY: listed(there)} if there else {},
    )
    (row,) = made.rows
    assert (row.action, row.drift) == (action, drift)
    assert row.reason.startswith(reason)
    if action.changes:
        assert row.expected == (md5(there) if there else ABSENT)


def test_in_an_encrypted_bucket_the_checksum_that_s3_keeps_tells_what_is_there_already() -> None:
    wanted, listing = {KEY: source(KEY, "two")}, {KEY: Listed("opaque", 3)}
    record = release({KEY: file_record("one", etag="opaque before")})
    assert unclear(wanted, record, listing) == [KEY]
    (row,) = plan(wanted, record, listing, stored={KEY: wanted[KEY].sha256}).rows
    assert (row.action, row.drift, row.expected) == (Action.ADOPT, False, "opaque")
    (row,) = plan(wanted, record, listing, stored={KEY: ""}).rows
    assert (row.action, row.drift) == (Action.UPLOAD, True)


@pytest.mark.parametrize(
    ("there", "keep"),
    [
        (None, ()),  # not there
        (Listed("opaque", 4), ()),  # another size
        (Listed("as recorded", 3), ()),
        (listed("two"), ()),  # the MD5 says it
        (Listed("opaque", 3), ("a.*",)),
    ],
)
def test_where_the_listing_says_it_s3_is_not_asked(there: Listed | None, keep: tuple[str, ...]) -> None:
    record = release({KEY: file_record("one", etag="as recorded")})
    assert unclear({KEY: source(KEY, "two")}, record, {KEY: there} if there else {}, keep) == []


def test_after_a_release_that_did_not_end_nobody_s_hands_are_blamed_for_certain() -> None:
    made = plan({KEY: source(KEY, "one")}, release({KEY: file_record("one")}), {KEY: listed("else")}, unfinished=True)
    assert made.rows[0].reason == "changed by hand or by a release that did not end since the last release"


@pytest.mark.parametrize("tree", ["one", None])
@pytest.mark.parametrize("recorded", ["one", None])
@pytest.mark.parametrize("there", ["hand", None])
def test_what_keep_names_is_never_touched(tree: str | None, recorded: str | None, there: str | None) -> None:
    made = plan(
        {KEY: source(KEY, tree)} if tree else {},
        release({KEY: file_record(recorded)} if recorded else {}),
        {KEY: listed(there)} if there else {},
        keep=("a.*",),
    )
    assert all(row.action is Action.LEAVE for row in made.rows)


def test_a_star_of_keep_reaches_into_folders() -> None:
    made = plan({}, None, {"dags/team/x/y.py": listed("x"), "dags/team.py": listed("x")}, keep=("team/*",))
    assert {row.key: row.action for row in made.rows} == {
        "dags/team/x/y.py": Action.LEAVE,
        "dags/team.py": Action.DELETE,
    }


@pytest.mark.parametrize("pattern", ["team/*", "team/", "team"])
def test_a_folder_can_be_kept_in_every_way_that_people_write_it(pattern: str) -> None:
    there = ("dags/team/own.py", "dags/team/x/y.py", "dags/teams.py", "dags/other/team/z.py")
    made = plan({}, None, {key: listed("x") for key in there}, keep=(pattern,))
    assert {row.key for row in made.rows if row.action is Action.LEAVE} == set(there[:2])


def test_the_release_file_is_never_kept() -> None:
    key = "dags/_release.json"
    (row,) = plan({key: source(key, "{}")}, None, {}, keep=("*.json", "*", "_release.json")).rows
    assert row.action is Action.UPLOAD


def test_the_console_s_folder_marker_is_left_alone() -> None:
    (row,) = plan({}, None, {"dags/": Listed(etag=md5(""), size=0)}).rows
    assert row.action is Action.LEAVE


def test_an_encrypted_bucket_s_etags_are_believed_when_the_record_knows_them() -> None:
    made = plan(
        {KEY: source(KEY, "one")}, release({KEY: file_record("one", etag="opaque")}), {KEY: Listed("opaque", 3)}
    )
    assert made.rows[0].action is Action.KEEP


def test_an_edit_of_the_same_size_is_seen() -> None:
    made = plan({KEY: source(KEY, "x = 1")}, release({KEY: file_record("x = 2")}), {KEY: listed("x = 2")})
    assert made.rows[0].action is Action.UPLOAD


def test_phases_go_from_what_is_read_to_what_imports_and_deletions_come_last() -> None:
    wanted = {
        "dags/dag.py": source("dags/dag.py", "d", 2),
        "dags/helper.py": source("dags/helper.py", "h", 1),
        "dags/_release.json": source("dags/_release.json", "{}"),
        "dags/a.sql": source("dags/a.sql", "s"),
    }
    made = plan(wanted, None, {"dags/old.py": listed("o")})
    assert [(row.key, row.phase) for row in made.changes] == [
        ("dags/_release.json", 0),
        ("dags/a.sql", 0),
        ("dags/helper.py", 1),
        ("dags/dag.py", 2),
        ("dags/old.py", 3),
    ]


def test_deletions_go_from_what_imports_to_what_is_imported() -> None:
    recorded = {"dags/a_helper.py": file_record("h", level=1), "dags/z_dag.py": file_record("d", level=2)}
    there = {"dags/a_helper.py": listed("h"), "dags/z_dag.py": listed("d"), "dags/stranger.py": listed("s")}
    made = plan({}, release(recorded), there)
    assert [row.key for row in made.changes] == ["dags/stranger.py", "dags/z_dag.py", "dags/a_helper.py"]
    assert len({row.phase for row in made.changes}) == 1, "a thousand are one request"


def part(content: bytes) -> PartRecord:
    import hashlib  # noqa: PLC0415 - here only

    return PartRecord(key="requirements.txt", sha256=hashlib.sha256(content).hexdigest(), version="v")


@pytest.mark.parametrize(
    ("tree", "recorded", "action", "reason"),
    [
        ("new", None, Action.UPLOAD, "new"),
        ("same", b"same", Action.KEEP, "unchanged"),
        ("new", b"old", Action.UPLOAD, "changed"),
        (None, b"old", Action.UPLOAD, "removed: MWAA cannot forget it"),
        (None, EMPTY_PARTS["requirements"], Action.KEEP, "unchanged"),
    ],
)
def test_a_part_is_sent_to_mwaa_only_when_its_content_changed(
    tree: str | None, recorded: bytes | None, action: Action, reason: str
) -> None:
    made = plan(
        {},
        release(parts={"requirements": part(recorded)} if recorded is not None else {}),
        {},
        parts={"requirements": source("requirements.txt", tree)} if tree else {},
    )
    (row,) = made.parts
    assert row.action is action
    assert row.reason.startswith(reason)
    assert bool(made.part_changes) is (action is Action.UPLOAD)


@pytest.mark.parametrize(
    ("tree", "recorded", "action", "reason"),
    [
        ("same", b"same", Action.RESTORE, "an unfinished release may have changed it"),
        ("new", b"old", Action.UPLOAD, "changed"),
        ("new", None, Action.UPLOAD, "new"),
        (None, None, Action.UPLOAD, "an unfinished release may have brought one"),
        (None, EMPTY_PARTS["requirements"], Action.RESTORE, "an unfinished release may have changed it"),
    ],
)
def test_a_part_that_is_unsettled_is_brought_to_what_it_should_be(
    tree: str | None, recorded: bytes | None, action: Action, reason: str
) -> None:
    made = plan(
        {},
        release(parts={"requirements": part(recorded)} if recorded is not None else {}),
        {},
        parts={"requirements": source("requirements.txt", tree)} if tree else {},
        unsettled=("requirements",),
    )
    (row,) = made.parts
    assert (row.action, row.reason) == (action, reason)
    assert row.version == ("v" if action is Action.RESTORE else "")


def test_a_part_that_never_was_is_not_mentioned() -> None:
    assert plan({}, release(), {}).parts == ()
    assert wanted_parts({}, release()) == {}


def test_a_new_revision_of_a_task_definition_is_a_release() -> None:
    record = release(tasks={"ingest": TaskRecord(task_definition=ARN.format(1))})
    assert plan({}, record, {}, tasks={"ingest": ARN.format(1)}).is_empty
    changed = plan({}, record, {}, tasks={"ingest": ARN.format(2)})
    assert not changed.is_empty
    assert (changed.tasks[0].before, changed.tasks[0].after) == (ARN.format(1), ARN.format(2))


def test_a_first_release_is_made_even_when_the_bucket_is_right() -> None:
    assert not plan({KEY: source(KEY, "one")}, None, {KEY: listed("one")}).is_empty
    assert plan({KEY: source(KEY, "one")}, release({KEY: file_record("one")}), {KEY: listed("one")}).is_empty


CONTENTS = st.dictionaries(st.sampled_from(["dags/a", "dags/b", "dags/c", "dags/d"]), st.sampled_from(["1", "2", "3"]))


@given(CONTENTS, CONTENTS, CONTENTS)
def test_carrying_a_plan_out_gives_the_tree_and_then_nothing_is_left_to_do(
    tree: dict[str, str], recorded: dict[str, str], there: dict[str, str]
) -> None:
    wanted = {key: source(key, content) for key, content in tree.items()}
    record = release({key: file_record(content) for key, content in recorded.items()})
    after = dict(there)
    for row in plan(wanted, record, {key: listed(content) for key, content in there.items()}).changes:
        if row.action is Action.UPLOAD:
            assert there.get(row.key) != tree[row.key], "nothing is uploaded that is there already"
            after[row.key] = tree[row.key]
        elif row.action is Action.DELETE:
            del after[row.key]
    assert after == tree
    again = release({key: file_record(content) for key, content in tree.items()}, id=FIRST)
    assert plan(wanted, again, {key: listed(content) for key, content in after.items()}).is_empty
