import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.release.imports import importers_of, imports_of, levels, order

FOLDER = {
    "orders.py": b"from common.s3 import copy\n",
    "common/__init__.py": b"",
    "common/s3.py": b"import config\n",
    "config.py": b"import os\n",
}


def test_a_module_runs_after_the_packages_above_it() -> None:
    assert imports_of(FOLDER) == {
        "orders.py": {"common/__init__.py", "common/s3.py"},
        "common/__init__.py": frozenset(),
        "common/s3.py": {"config.py"},
        "config.py": frozenset(),
    }


@pytest.mark.parametrize(
    ("path", "line", "imported"),
    [
        ("dag.py", "import common.s3", "common/s3.py"),
        ("dag.py", "import common.s3 as s, config", "config.py"),
        ("dag.py", "from common import s3", "common/s3.py"),
        ("dag.py", "def f():\n    import config", "config.py"),
        ("dag.py", "if True:\n  from config import *", "config.py"),
        ("common/new.py", "from . import s3", "common/s3.py"),
        ("common/new.py", "from .s3 import copy", "common/s3.py"),
        ("common/new.py", "from.s3 import copy", "common/s3.py"),
        ("common/deep/new.py", "from ..s3 import copy", "common/s3.py"),
        ("dag.py", "from common import (\n    s3,\n)", "common/s3.py"),
        ("dag.py", "x = 1; import config", "config.py"),
        ("dag.py", "import os, \\\n    config", "config.py"),
        ("dag.py", "from \\\r\n    common \\\r\n    import s3", "common/s3.py"),
        ("dag.py", "x = 1\rimport config\r", "config.py"),
    ],
)
def test_every_way_to_import_is_seen(path: str, line: str, imported: str) -> None:
    assert imported in imports_of({**FOLDER, path: line.encode()})[path]


def test_a_module_with_a_name_beyond_ascii_is_found() -> None:
    graph = imports_of({"größe.py": b"", "dag.py": "import größe".encode()})
    assert graph["dag.py"] == {"größe.py"}


def test_of_a_package_and_a_file_of_one_name_the_package_is_imported() -> None:
    sources = {
        "orders.py": b"from orders.factory import build\n",
        "orders/__init__.py": b"",
        "orders/factory.py": b"",
        "other.py": b"import orders\n",
    }
    for each in (sources, dict(reversed(sources.items()))):
        graph = imports_of(each)
        assert graph["orders.py"] == {"orders/__init__.py", "orders/factory.py"}
        assert graph["other.py"] == {"orders/__init__.py"}
        assert levels(graph)["orders.py"] > levels(graph)["orders/factory.py"]


def test_modules_from_elsewhere_and_mentions_are_no_imports() -> None:
    graph = imports_of({"dag.py": b"import airflow\nname = 'config common'\n", "config.py": b"", "common/x.py": b""})
    assert graph["dag.py"] == frozenset()


def test_a_file_that_is_no_python_imports_nothing() -> None:
    assert imports_of({"dag.py": b"import config\ndef (", "config.py": b"", "nul.py": b"import config\0"}) == {
        "dag.py": frozenset(),
        "config.py": frozenset(),
        "nul.py": frozenset(),
    }


def test_what_is_imported_is_on_a_lower_level() -> None:
    assert levels(imports_of(FOLDER)) == {"config.py": 0, "common/__init__.py": 0, "common/s3.py": 1, "orders.py": 2}


@pytest.mark.parametrize(
    ("text", "above"),
    [
        (b"from airflow.sdk import DAG\n", True),
        (b"from airflow.decorators import task, dag\n", True),
        (b"from airflow.sdk import (\n    task,\n    DAG,\n)\n", True),
        (b"import airflow\nairflow.DAG('x')\n", True),
        (b"from airflow.sdk import task\n", False),
        (b"# a DAG needs this\n", False),
    ],
)
def test_a_file_that_names_a_dag_is_above_all_helpers(text: bytes, above: bool) -> None:
    sources = {**FOLDER, "sql/dag.py": text + b"sys.path.insert(0, dirname(__file__))\n", "sql/build.py": b""}
    level = order(sources, imports_of(sources))
    assert (level["sql/dag.py"] > max(level["sql/build.py"], level["orders.py"])) is above


def test_a_helper_that_names_a_dag_stays_below_who_imports_it() -> None:
    sources = {"dag.py": b"import helper\nfrom airflow.sdk import DAG\n", "helper.py": b"from airflow.sdk import DAG\n"}
    assert order(sources, imports_of(sources)) == {"helper.py": 0, "dag.py": 1}


def test_dag_files_alone_are_on_the_lowest_level() -> None:
    sources = dict.fromkeys(("a.py", "b.py"), b"from airflow.sdk import DAG\n")
    assert order(sources, imports_of(sources)) == {"a.py": 0, "b.py": 0}


def test_files_that_import_each_other_share_a_level() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": ["a", "base"], "base": [], "dag": ["b"]}
    assert levels(graph) == {"base": 0, "a": 1, "b": 1, "c": 1, "dag": 2}


def test_a_chain_of_thousands_is_no_problem() -> None:
    chain = {f"m{n}": [f"m{n + 1}"] for n in range(3000)} | {"m3000": []}
    assert levels(chain)["m0"] == 3000


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh"))))
def test_nothing_imports_from_a_higher_level(graph: dict[str, set[str]]) -> None:
    closed = {name: graph.get(name, set()) - {name} for name in "abcdefgh"}
    level = levels(closed)
    assert all(level[name] >= level[imported] for name, all_ in closed.items() for imported in all_)
    equal = [(n, i) for n, all_ in closed.items() for i in all_ if level[n] == level[i]]
    reach = {name: _reachable(closed, name) for name in closed}
    assert all(name in reach[imported] for name, imported in equal), "only a circle shares a level"


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def test_importers_are_found_through_others() -> None:
    assert importers_of(imports_of(FOLDER), {"config.py"}) == {"common/s3.py", "orders.py"}


def test_what_changed_is_an_importer_too_if_it_imports_something_else_that_changed() -> None:
    changed = {"config.py", "orders.py"}
    assert importers_of(imports_of(FOLDER), changed) == {"common/s3.py", "orders.py"}
    assert importers_of({"a": ["h"], "b": ["h"], "h": []}, {"a"}) == frozenset()
