"""Which imports would fail where a file runs."""

import sys
from pathlib import Path

import pytest

from pipeline.dagtest.worker.modules import missing
from pipeline.dagtest.worker.source import SourceLines, parsed
from tests.dagtest.projects import make_project, run


def names(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [found["name"] for found in missing(path, str(path.parent))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import json, nothing_1", ["nothing_1"]),
        ("def task():\n    import nothing_2", ["nothing_2"]),
        ("try:\n    import nothing_3\nexcept ImportError:\n    import nothing_4", ["nothing_4"]),
        ("from contextlib import suppress\nwith suppress(ImportError):\n    import nothing_5", []),
        ("with contextlib.suppress(OSError):\n    import nothing_6", ["nothing_6"]),
        ("if find_spec('nothing_7'):\n    import nothing_7", []),
        ("if importlib.util.find_spec('x') is None:\n    pass\nelse:\n    import nothing_8", []),
        ("HAS = find_spec('nothing_9') is not None\nif HAS:\n    import nothing_9", []),
        ("if TYPE_CHECKING:\n    import nothing_10", []),
        ("if sys.platform:\n    import nothing_11", ["nothing_11"]),
        ("if AIRFLOW_V_3_0_PLUS:\n    import json\nelse:\n    import nothing_13", []),
        ("if airflow.__version__ < '3':\n    import nothing_14", []),
        ("if Version(v) < Version('3'):\n    import nothing_15", []),
        ("if sys.version_info >= (3, 12):\n    import nothing_16", []),
        ("if IS_AIRFLOW_2:\n    import nothing_17", []),
        (
            "if __name__ == '__main__':\n    import nothing_18\n    dag.test()\nelse:\n    import nothing_19",
            ["nothing_19"],
        ),
        ("if '__main__' == __name__:\n    import nothing_20", []),
        ("if __name__ != '__main__':\n    import nothing_21", ["nothing_21"]),
    ],
)
def test_an_import_that_a_file_does_without_is_not_missed(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert names(tmp_path / "dag.py", text) == expected


def test_a_package_that_is_only_a_folder_says_nothing_of_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "space" / "cloud" / "storage").mkdir(parents=True)
    (tmp_path / "space" / "cloud" / "storage" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (
        "from space.cloud import bigquery\nfrom space.cloud import storage\nimport space.cloud.storage.blob\n"
        "from space.other import x\nfrom space import *\n"
    )
    (tmp_path / "dags").mkdir()
    assert names(tmp_path / "dags" / "dag.py", text) == ["space.cloud.bigquery", "space.other"]
    sys.modules.pop("space.cloud", None)
    sys.modules.pop("space", None)


def test_a_module_in_a_package_of_the_teams_is_looked_for_to_its_end_and_nothing_is_run_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inits = {"pkg_1": "raise SystemExit", "pkg_1/inner": "", "pkg_2": "import sys\nsys.modules['pkg_2.made'] = sys"}
    for package, text in inits.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(text)
    (tmp_path / "pkg_1" / "inner" / "x.py").touch()
    (tmp_path / "pkg_1" / "folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    wrong = ["pkg_1.nothere", "pkg_1.inner.y", "pkg_1.inner.x.z"]
    right = ["pkg_1", "pkg_1.inner.x", "pkg_1.folder.any", "pkg_2.made", "json.nothing_of_ours"]
    assert names(tmp_path / "dag.py", "".join(f"from {name} import f\n" for name in [*wrong, *right])) == wrong


def test_a_chain_of_a_thousand_tasks_is_read_to_its_end(tmp_path: Path) -> None:
    assert names(tmp_path / "dag.py", f"import nothing_12\n{' >> '.join(['E()'] * 1_200)}\n") == ["nothing_12"]


def test_a_text_that_is_too_deep_for_pythons_parser_is_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "dag.py"
    path.write_text(f"x = {'+'.join(['1'] * 100_000)}\n")
    assert parsed(path) is None
    assert missing(path, str(tmp_path)) == []
    assert SourceLines.of(path) == SourceLines()


HEAD = "from airflow.sdk import DAG\nfrom airflow.providers.standard.operators.empty import EmptyOperator\n"


def test_in_airflow_modules_are_found_where_the_file_finds_them_and_no_text_is_too_deep(tmp_path: Path) -> None:
    chain = " >> ".join(f"EmptyOperator(task_id='t{number}')" for number in range(1_200))
    sums = "+".join(["1"] * 100_000)
    project = make_project(
        tmp_path,
        {
            "inserts.py": f"{HEAD}import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\n"
            "import helper\nDAG('inserts')\n",
            # What many files import is looked into before any file is imported.
            "also.py": f"{HEAD}import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\n"
            "import lib.helper\nDAG('also')\n",
            "lib/helper.py": "import extra\n",
            "lib/extra.py": "x = 1\n",
            "chain.py": f"{HEAD}with DAG('chain'):\n    {chain}\n",
            "sums.py": f"{HEAD}DAG('sums')\ntext = {sums!r}\nx = {sums}\n",
            "opens.py": f"{HEAD}open(__file__)\nDAG('opens')\n",
        },
    )
    (project / "dags" / ".airflowignore").write_text("fargate.py\nplugins/\nlib/\n")
    found = run(project)
    assert set(found.said()) == {("sums.py", "imports")}  # as Python itself says of it
    assert ("opens.py", "deprecated-apis") not in found.said("skipped")
