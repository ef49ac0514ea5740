from pathlib import Path

import pytest

from pipeline.dagtest.worker.source import SourceLines

TEXT = '''"""orders"""
with DAG("orders"):
    fargate_task("ingest", command=[])
    fargate_task(
        "transform", task_id="validate", command=[])
    @task
    def days(): pass

@dag
def other(): pass
'''


@pytest.fixture
def lines(tmp_path: Path) -> SourceLines:
    path = tmp_path / "orders.py"
    path.write_text(TEXT)
    return SourceLines.of(path)


@pytest.mark.parametrize(
    ("task", "line"), [("ingest", 3), ("validate", 4), ("load.validate", 4), ("days", 7), ("made_in_a_loop", None)]
)
def test_a_task_is_found_by_its_name(lines: SourceLines, task: str, line: int | None) -> None:
    assert lines.of_task(task) == line


@pytest.mark.parametrize(("dag", "line"), [("other", 10), ("orders", 1), ("unknown", None)])
def test_a_dag_is_found_by_its_id_or_function(lines: SourceLines, dag: str, line: int | None) -> None:
    assert lines.of_dag(dag) == line


def test_what_is_no_python_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_bytes(b"with DAG(\xff")
    assert SourceLines.of(path) == SourceLines({}, {}, {})
