from pathlib import Path

import pytest

from pipeline.release import plan, tree
from pipeline.release.expectation import names_dag, of_deploy, perhaps_ignored
from pipeline.release.verify import Dag, Expectation, Seen
from tests.release.values import file_record, listed, release, write

DAG = "from airflow.sdk import DAG\n"
NOTHING = Seen({}, {})


def expected(folder: Path, before: Seen = NOTHING, recorded: dict[str, str] | None = None) -> Expectation:
    gathered = tree.gather(folder).with_release_file(b"{}")
    record = release({f"dags/{name}": file_record(text) for name, text in (recorded or {}).items()})
    listing = {f"dags/{name}": listed(text) for name, text in (recorded or {}).items()}
    decided = plan.decide("dev", wanted=gathered.files, parts={}, tasks={}, record=record, listing=listing)
    return of_deploy(decided, gathered, before)


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


def test_unchanged_dags_that_import_what_changed_are_to_be_parsed_again(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "new\n"})
    found = expected(tmp_path, recorded={"a.py": "import h\n", "b.py": "x = 1\n", "h.py": "old\n"})
    assert found.affected == {"a.py"}


def test_removed_files_are_to_lose_their_dags(tmp_path: Path) -> None:
    assert expected(tmp_path, recorded={"gone.py": "x", "gone.sql": "x"}).removed == {"gone.py"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from airflow.sdk import dag, task", True),
        ("from airflow import DAG", True),
        ("import airflow\nairflow.DAG('x')", True),
        ("from airflow.sdk import task", False),
        ("from airflow_like import dag", False),
        ("def (", True),
    ],
)
def test_a_dag_file_says_so_itself(source: str, found: bool) -> None:
    assert names_dag(source.encode()) is found


@pytest.mark.parametrize("pattern", ["sub", "sub/", "/sub/a.py", "*.py", "sub/*", "a"])
def test_a_line_that_may_mean_a_file_counts(pattern: str) -> None:
    assert perhaps_ignored("sub/a.py", [pattern])


def test_a_line_that_means_something_else_does_not() -> None:
    assert not perhaps_ignored("sub/a.py", ["other/", "b.py"])
