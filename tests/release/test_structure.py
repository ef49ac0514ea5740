import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release.structure import Dag, DagChange, Structures, Task, difference, parse


def dag(
    tasks: Mapping[str, tuple[str, ...]], schedule: str | None = "@daily", file: str = "a.py", **operators: str
) -> Dag:
    return Dag(
        file=file,
        schedule=schedule,
        tasks={name: Task(operator=operators.get(name, "Fargate"), downstream=after) for name, after in tasks.items()},
    )


CHAIN: dict[str, tuple[str, ...]] = {"ingest": ("check",), "check": ("report",), "report": ()}
BEFORE = dag(CHAIN)


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (dag(CHAIN), []),
        (dag(CHAIN, "@hourly"), ["schedule: @daily → @hourly"]),
        (dag(CHAIN, None), ["schedule: @daily → none"]),
        (dag(CHAIN, file="b.py"), ["moved from a.py to b.py"]),
        (dag({**CHAIN, "mail": ()}), ["new task mail (Fargate), at the start"]),
        (
            dag({"ingest": ("check",), "check": ("report",), "report": ("mail",), "mail": ()}),
            ["new task mail (Fargate), after report"],
        ),
        (
            dag({"ingest": ("report",), "report": ()}),
            ["task check (Fargate) is gone", "report now waits for ingest"],
        ),
        (
            dag({"ingest": ("check", "report"), "check": (), "report": ()}),
            ["report now waits for ingest", "report no longer waits for check"],
        ),
        (dag(CHAIN, check="Python"), ["task check: Fargate → Python"]),
    ],
)
def test_a_dag_differs_by_tasks_dependencies_and_schedule(after: Dag, lines: list[str]) -> None:
    found = difference({"orders": BEFORE}, {"orders": after}, {})
    assert found.changed == ((DagChange("orders", tuple(lines)),) if lines else ())
    assert found.added == found.removed == ()


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (("ingest",), ("transform",), "load: container ingest → transform"),
        ((), ("transform",), "load: container none → transform"),
        (("ingest",), (), "load: container ingest → none"),
        (("ingest",), ("ingest", "log"), "load: container ingest → ingest, log"),
    ],
)
def test_a_task_that_runs_another_container_is_another(
    before: tuple[str, ...], after: tuple[str, ...], line: str
) -> None:
    was, now = (Dag(file="a.py", tasks={"load": Task(operator="Fargate", containers=each)}) for each in (before, after))
    touched = {"a.py": "its code changed"}
    assert difference({"orders": was}, {"orders": now}, touched).changed == (DagChange("orders", (line,)),)
    assert difference({"orders": was}, {"orders": was}, {}).changed == ()


def test_dags_come_and_go_with_their_tasks_in_the_order_they_run() -> None:
    found = difference({"old": BEFORE}, {"new": BEFORE}, {})
    lines = ("in a.py, schedule: @daily", "3 tasks: ingest, check, report")
    assert found.added == (DagChange("new", lines),)
    assert found.removed == (DagChange("old", lines),)


def test_a_dag_that_looks_the_same_but_runs_other_code_is_changed() -> None:
    found = difference({"a": BEFORE}, {"a": BEFORE}, {"a.py": "helper.py, which it imports, changed"})
    assert found.changed == (DagChange("a", ("same tasks and schedule; helper.py, which it imports, changed",)),)


def test_structures_are_read_and_more_than_is_known_does_no_harm() -> None:
    document: dict[str, Any] = {
        "format": 2,
        "files": {"a.py": "ab"},
        "dags": {"dev": {"a": {"file": "a.py", "schedule": None, "owner": "ann", "tasks": {"t": {"operator": "O"}}}}},
    }
    found = parse(json.dumps(document).encode(), where="dags.json")
    assert found.dags["dev"]["a"].tasks["t"].operator == "O"


@pytest.mark.parametrize(
    ("files", "same"),
    [
        ({"a.py": "ab", "helper.py": "cd"}, True),
        ({"a.py": "ab"}, False),
        ({"a.py": "other", "helper.py": "cd"}, False),
        ({"a.py": "ab", "helper.py": "other"}, False),
        ({"a.py": "ab", "helper.py": "cd", "b.py": "ef"}, False),
        ({"helper.py": "cd"}, False),
    ],
)
def test_structures_are_of_a_tree_when_every_file_is_the_one_the_tests_saw(files: dict[str, str], same: bool) -> None:
    never_released = dict.fromkeys(("tests/test_a.py", "sub/__pycache__/a.pyc", ".env", "requirements.txt"), "00")
    found = Structures(files={"a.py": "ab", "helper.py": "cd", **never_released}, dags={"dev": {"a": BEFORE}})
    assert found.is_of(files) is same


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format": 1, "files": {}, "dags": {}}', b'{"format":2,"files":{},"dags":[]}']
)
def test_what_is_no_structure_is_refused_with_its_place(content: bytes) -> None:
    with pytest.raises(PipelineError, match="these are no DAG structures of format 2") as error:
        parse(content, where="reports/dags.json")
    assert error.value.where == "reports/dags.json"
