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


def test_the_call_that_made_it_tells_more_than_a_name(lines: SourceLines) -> None:
    assert lines.of_task("ingest", (30, 40)) == 30
    assert lines.of_dag("orders", (2,)) == 2
    assert lines.of_dag("other", (12,)) == 10  # the function, not the call of it
    assert lines.of_task("anything", (12,), function=6) == 7


MOVING = """import pendulum
FIXED = {"start_date": datetime(2026, 1, 1)}
MOVES = {"owner": "me", "start_date": pendulum.now()}
DAG("a", start_date=datetime(2026, 1, 1))
DAG("b", start_date=pendulum.today())
DAG(
    "c",
    default_args=MOVES,
)
DAG("d", default_args=FIXED)
@dag(default_args=dict(start_date=days_ago(1)))
def e(): ...
@task
def f(): client.get_cost(start_date=date.today())
params = {"start_date": now()}
"""


@pytest.mark.parametrize(
    ("dag", "made", "line"),
    [("a", 4, None), ("b", 5, 5), ("c", 6, 3), ("d", 10, None), ("e", 99, 11), ("f", 99, None)],
)
def test_a_moving_start_date_is_that_of_the_dag_whose_call_is_given_it(
    tmp_path: Path, dag: str, made: int, line: int | None
) -> None:
    path = tmp_path / "moving.py"
    path.write_text(MOVING)
    assert SourceLines.of(path).moving_start(dag, [(made,)]) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("YESTERDAY = datetime.combine(datetime.today() - timedelta(1), time.min)\nDAG('a', start_date=YESTERDAY)", 1),
        ("NOW = utcnow()\nARGS = {'start_date': NOW - day}\nDAG('a', default_args=ARGS)", 1),
        ("start = pendulum.today('UTC').subtract(days=3)\nDAG('a', start_date=start)", 1),
        ("start: datetime = now()\nstart = start.replace(hour=0)\nDAG('a', start_date=start)", 1),
        ("COMMON = {'start_date': now()}\nDAG('a', default_args={**COMMON, 'owner': 'me'})", 1),
        ("COMMON = dict(start_date=now())\nDAG('a', default_args=dict(COMMON, owner='me'))", 1),
        # It may be another date.
        ("COMMON = {'start_date': now()}\nDAG('a', default_args={**COMMON, 'start_date': FIXED})", None),
        ("def f():\n  start = now()\nstart = datetime(2026, 1, 1)\nDAG('a', start_date=start)", None),
        ("def f():\n  start = now()\ndef g(start):\n  DAG('a', start_date=start)", None),
        ("from common import start\ndef f():\n  start = now()\nDAG('a', start_date=start)", None),
        ("for start in DATES:\n  DAG('a', start_date=start)\ndef f():\n  start = now()", None),
        ("DATES = {'a': FIXED, 'b': now()}\nDAG('a', start_date=DATES['a'])", None),
        ("CONFIG = read(today())\nDAG('a', start_date=CONFIG.get('start'))", None),
        ("IS_LATE = now() > FIXED\nDAG('a', start_date=FIXED if IS_LATE else START)", None),
        ("DAG('a', start_date=FIXED if now() > FIXED else START)", None),
        ("DAG('a', start_date=FIXED if IS_LATE else now())", 1),
        ("DAG('a', start_date=min(now(), FIXED))", None),
        ("DAG('a', start_date=max(now(), FIXED))", 1),
        ("NOW = now()\nDAG('a', start_date=datetime(NOW.year, NOW.month, 1))", 1),
        ("AGE = now() - FIXED\nDAG('a', start_date=FIXED, description=str(AGE))", None),
        ("a = b\nb = a\nprint(now())\nDAG('a', start_date=a)", None),
        ("\n".join(["x0 = now()", *(f"x{n} = x{n - 1}" for n in range(1, 3_000)), "DAG('a', start_date=x2999)"]), 1),
    ],
)
def test_a_moving_start_date_is_followed_through_the_names_that_it_is_given(
    tmp_path: Path, text: str, line: int | None
) -> None:
    path = tmp_path / "moving.py"
    path.write_text(text)
    assert SourceLines.of(path).moving_start("a", [range(1, 4_000)]) == line


def test_what_is_no_python_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_bytes(b"with DAG(\xff")
    assert SourceLines.of(path) == SourceLines()


@pytest.mark.parametrize(
    ("after", "uncalled"),
    [
        ("", {"orders": 2}),
        ("orders()", {}),
        ("made = [orders]", {}),
        ("if True:\n    orders()", {}),
        ("orders = 1", {"orders": 2}),
        ("class A:\n    @dag\n    def inner(self): ...", {"orders": 2}),
    ],
)
def test_a_function_that_makes_a_dag_and_is_not_called_is_known(
    tmp_path: Path, after: str, uncalled: dict[str, int]
) -> None:
    path = tmp_path / "orders.py"
    path.write_text(f"@dag(schedule=None)\ndef orders():\n    pass\n{after}\n")
    assert SourceLines.of(path).uncalled == uncalled
