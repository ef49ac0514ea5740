"""What DAG files name by its place on MWAA is found here, as it will be there."""

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pipeline.dagtest.worker.mwaa_home import MwaaHome
from tests.dagtest.projects import Run, make_project, run, write

HEAD = """import glob, io, os, sys
from pathlib import Path
from airflow.sdk import DAG
MWAA = "/usr/local/airflow"
"""
GOOD = {
    "opens.py": "text = open(f'{MWAA}/dags/sql/a.sql').read()",
    "opens_by_path.py": "text = Path(MWAA, 'dags', 'sql', 'a.sql').read_text()",
    "opens_low.py": "text = os.read(os.open(f'{MWAA}/dags/sql/a.sql', os.O_RDONLY), 99).decode()",
    "opens_io.py": "text = io.open(file=f'{MWAA}/dags/sql/a.sql').read()",
    "looks.py": "text = 'select a' if os.path.isfile(f'{MWAA}/dags/sql/a.sql') and Path(MWAA).is_dir() else ''",
    "lists.py": "text = 'select a' if os.listdir(f'{MWAA}/dags/sql') == ['a.sql'] else ''",
    "globs.py": "text = open(*glob.glob(f'{MWAA}/dags/*/*.sql')).read()",
    "walks.py": "text = 'select a' if any('a.sql' in names for *_, names in os.walk(MWAA, followlinks=True)) else ''",
    "imports.py": "sys.path.insert(0, f'{MWAA}/dags/common')\nfrom words import text",
    "plugin.py": "text = open(f'{MWAA}/plugins/data.txt').read()",
    "in_class.py": "class It:\n    opener = open\ntext = It().opener(f'{MWAA}/dags/sql/a.sql').read()",
}
BAD = {
    "gone.py": ("text = open(f'{MWAA}/dags/sql/b.sql').read()", "imports", "dags/gone.py:5: FileNotFoundError: "),
    "writes.py": ("open(f'{MWAA}/dags/made.txt', 'w')", "no-writes", "dags/writes.py:5: write dags/made.txt, while"),
}
BESIDE = {"sql/a.sql": "select a", "common/words.py": "text = 'select a'\n", "plugins/data.txt": "select a"}


def dag(name: str, text: str) -> str:
    dag_id = name.removesuffix(".py")
    return f"{HEAD}{text}\nassert text == 'select a', text\nDAG('{dag_id}')\n"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    files = {name: dag(name, text) for name, text in GOOD.items()}
    files |= {name: dag(name, text) for name, (text, *_) in BAD.items()}
    project = make_project(tmp_path_factory.mktemp("project"), {**files, **BESIDE})
    return project, run(project)


def test_each_way_to_read_a_file_finds_it(everything: tuple[Path, Run]) -> None:
    said = everything[1].said()
    assert {key: said[key] for key in said if key[0] in GOOD} == {}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_there_or_not_allowed_fails_as_for_any_other_path(everything: tuple[Path, Run], name: str) -> None:
    _, rule, words = BAD[name]
    assert everything[1].said()[name, rule].startswith(words)


def test_a_result_depends_on_what_was_read_so(everything: tuple[Path, Run]) -> None:
    project, _ = everything
    write(project, {"sql/a.sql": "select b"})
    assert {"opens.py", "globs.py", "opens_by_path.py"} <= {name for name, _ in run(project).said()}
    write(project, BESIDE)


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("/usr/local/airflow/dags/a", "/project/dags/a"),
        ("/usr/local/airflow/dags", "/project/dags"),
        (b"/usr/local/airflow/plugins/a", b"/project/dags/plugins/a"),
        ("/usr/local/airflow/logs", "/home/logs"),
        (PurePosixPath("/usr/local/airflow"), "/home"),
        ("/usr/local/airflow2/dags", "/usr/local/airflow2/dags"),
        ("dags/a", "dags/a"),
        (7, 7),
    ],
)
def test_mwaas_paths_and_no_others_lead_here(path: Any, here: Any) -> None:
    assert MwaaHome(Path("/project/dags"), Path("/home")).here(path) == here
