from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.release import plan, structure, tree
from pipeline.release.expectation import left_by, names_dag, of_deploy, of_rollback, perhaps_ignored, without
from pipeline.release.pointer import Pointer
from pipeline.release.rollback import Standing, decide
from pipeline.release.verdict import Dag, Expectation, Seen
from tests.release.values import file_record, listed, release, source, write

DAG = "from airflow.sdk import DAG\n"
NOTHING = Seen({}, {})


def expected(
    folder: Path,
    before: Seen = NOTHING,
    recorded: dict[str, str] | None = None,
    there: dict[str, str] | None = None,
    **given: Any,
) -> Expectation:
    gathered = tree.gather(folder).with_release_file(b"{}")
    record = release({f"dags/{name}": file_record(text) for name, text in (recorded or {}).items()})
    listing = {f"dags/{name}": listed(text) for name, text in (there or recorded or {}).items()}
    decided = plan.decide("dev", wanted=gathered.files, parts={}, tasks={}, record=record, listing=listing)
    return of_deploy(decided, gathered, before, **given)


def test_a_new_dag_file_is_waited_for(tmp_path: Path) -> None:
    assert expected(write(tmp_path, {"a.py": DAG})).changed == {"a.py": DAG}


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "x = 1\n"},
        {"a.py": DAG, "importer.py": "import a\n"},
        {"a.py": DAG, ".airflowignore": "a.py\n"},
        {"sub/a.py": DAG, ".airflowignore": "# comment\nsub/\n"},
        {"a.sql": DAG},
    ],
)
def test_a_new_file_that_may_define_no_dag_is_not_waited_for(tmp_path: Path, files: dict[str, str]) -> None:
    assert expected(write(tmp_path, files)).changed == {}


def test_a_file_in_which_airflow_found_dags_is_waited_for_however_it_makes_them(tmp_path: Path) -> None:
    before = Seen({"made": Dag("made", "a.py", "t1")}, {})
    assert expected(write(tmp_path, {"a.py": "make()\n"}), before).changed == {"a.py": "make()\n"}


def test_where_the_structures_are_known_only_files_that_they_name_are_waited_for(tmp_path: Path) -> None:
    write(
        tmp_path, {"typed.py": DAG, "only_in_production.py": f"{DAG}if production: DAG('p')\n", "made.py": "make()\n"}
    )
    found = expected(tmp_path, dags={"m": structure.Dag(file="made.py")})
    assert set(found.changed) == found.defining == {"made.py"}
    guessed = expected(tmp_path)
    assert set(guessed.changed) == {"typed.py", "only_in_production.py"}
    assert not guessed.defining


@pytest.mark.parametrize("name", ["a.py", "conf.yaml"])
def test_whatever_airflow_copies_is_waited_for(tmp_path: Path, name: str) -> None:
    recorded = {name: "x = 1\n", "_release.json": "{}"}
    assert expected(write(tmp_path, {name: "x = 2\n"}), recorded=recorded).settles
    assert not expected(write(tmp_path, {name: "x = 1\n"}), recorded=recorded).settles


def test_a_restored_file_has_its_dags_again() -> None:
    files = {"dags/back.py": file_record("b"), "dags/q.sql": file_record("q"), "dags/a.py": file_record("a")}
    target = release(files, dags={"b": structure.Dag(file="back.py"), "a": structure.Dag(file="a.py")})
    plan = decide(target, Standing(), {"dags/a.py": listed("a")})
    found = of_rollback(plan, tree.NO_TREE, NOTHING, dags=target.dags)
    assert found.defining == {"back.py"}
    assert found.affected == {"back.py", "q.sql"}
    assert found.settles
    back = tree.Tree({"dags/back.py": source("dags/back.py", "b")}, {}, {})
    found = of_rollback(plan, back, NOTHING, dags=target.dags)
    assert found.changed == {"back.py": "b"}
    assert found.affected == {"q.sql"}
    assert found.settles


def test_a_rollback_to_a_release_of_unknown_dags_waits_for_those_that_its_texts_name() -> None:
    texts = {"back.py": DAG, "had.py": "make()\n", "h.py": "x = 1\n", "off.py": DAG, ".airflowignore": "off.py\n"}
    files = {f"dags/{name}": file_record(text) for name, text in texts.items()}
    back = tree.Tree({key: source(key, texts[key.removeprefix("dags/")]) for key in files}, {}, {})
    before = Seen({"made": Dag("made", "had.py", "t1")}, {})
    found = of_rollback(decide(release(files), Standing(), {}), back, before)
    assert found.changed == {"back.py": DAG, "had.py": "make()\n"}
    assert not found.defining


def test_after_an_interruption_errors_of_what_is_there_already_count(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "new\n"})
    recorded = {"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "old\n"}
    assert expected(tmp_path, recorded=recorded).blamed == {"h.py"}
    assert expected(tmp_path, recorded=recorded, dags={}).blamed == frozenset(), "a helper; it may never be importable"
    assert expected(tmp_path, recorded=recorded, dags={"h": structure.Dag(file="h.py")}).blamed == {"h.py"}
    assert expected(tmp_path, recorded=recorded, there={**recorded, "h.py": "new\n"}).blamed == {"a.py", "h.py"}
    assert expected(tmp_path, recorded=recorded, resumed=True).blamed == {"a.py", "h.py"}


def test_unchanged_dags_that_import_what_changed_are_to_be_parsed_again(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "new\n"})
    found = expected(tmp_path, recorded={"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "old\n"})
    assert found.affected == {"a.py"}


def test_a_dag_that_changed_together_with_its_helper_is_to_be_parsed_again(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": f"import h\n{DAG}", "h.py": "new\n"})
    found = expected(tmp_path, recorded={"a.py": "import h\n", "h.py": "old\n"})
    assert set(found.changed) == found.affected == {"a.py"}
    alone = expected(tmp_path, recorded={"a.py": "import h\n", "h.py": "new\n"})
    assert set(alone.changed) == {"a.py"}
    assert not alone.affected


# The table of left_by's docstring: what the pointer says, how old it is, whether something remains, and what failed
# before the failed release.
@pytest.mark.parametrize(
    ("pointer", "age", "remains", "found"),
    [
        (Pointer("r"), 0, True, None),
        (Pointer("r", unfinished=True), 0, True, None),
        (Pointer("r", unfinished=True, failing=()), 90, True, frozenset()),
        (Pointer("r", unfinished=True, failing=("old.py",)), 90, True, {"old.py"}),
        (Pointer("r", unfinished=True, failing=("old.py",)), 59, False, {"old.py"}),
        (Pointer("r", unfinished=True, failing=("old.py",)), 60, False, None),
        (Pointer("r", failing=("old.py",)), 59, False, {"old.py"}),
        (Pointer("r", failing=("old.py",)), 60, True, None),
    ],
)
def test_what_a_failed_release_may_have_left_is_known_from_the_pointer(
    pointer: Pointer, age: int, remains: bool, found: frozenset[str] | None
) -> None:
    assert left_by(pointer, timedelta(seconds=age), within=60, remains=remains) == found


def test_only_errors_from_before_a_failed_release_are_old() -> None:
    before = Seen({}, {"old.py": "x", "new.py": "x", "goes.py": "x", "never_was.py": "x"})
    files = {f"dags/{name}": source(f"dags/{name}", "") for name in ("old.py", "new.py")}
    there = {f"dags/{name}": listed("") for name in ("old.py", "new.py", "goes.py")}
    decided = plan.decide("dev", wanted=files, parts={}, tasks={}, record=None, listing=there)
    assert without(before, None, decided) == before
    assert set(without(before, {"old.py"}, decided).errors) == {"old.py", "goes.py", "never_was.py"}
    assert "new.py" in without(before, {"new.py"}, decided).errors


def test_removed_files_are_to_lose_their_dags(tmp_path: Path) -> None:
    assert expected(tmp_path, recorded={"gone.py": "x", "gone.sql": "x"}).removed == {"gone.py"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from airflow.sdk import dag, task", True),
        ("from airflow import DAG", True),
        ("import airflow\nairflow.DAG('x')", True),
        ("from airflow.sdk import task", False),
        ("from airflow_like import dag", False),
        ("def (", True),
    ],
)
def test_a_dag_file_says_so_itself(text: str, found: bool) -> None:
    assert names_dag(text.encode()) is found


@pytest.mark.parametrize("pattern", ["sub", "sub/", "/sub/a.py", "*.py", "sub/*", "a"])
def test_a_line_that_may_mean_a_file_counts(pattern: str) -> None:
    assert perhaps_ignored("sub/a.py", [pattern])


def test_a_line_that_means_something_else_does_not() -> None:
    assert not perhaps_ignored("sub/a.py", ["other/", "b.py"])
