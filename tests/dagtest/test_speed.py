"""What is remembered from one file to the next, and what is read ahead, changes no result."""

from dataclasses import replace
from pathlib import Path

from pipeline import settings
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.testing import run_test
from pipeline.dagtest.worker.sharing import WORTH_SHARING
from tests.dagtest.projects import AIRFLOW, ROOT, make_project

HEAD = """from airflow.sdk import DAG, Param
from airflow.providers.standard.operators.bash import BashOperator
from pendulum import datetime
from shop import Country
"""
SHOP = """from dataclasses import dataclass, field

@dataclass(frozen=True)
class Country:
    name: str
    days: list = field(default_factory=list)
"""
DAG = '{}with DAG("{}", schedule={!r}, start_date=datetime(2026, 1, 1), catchup=False, params={{"x": Param("a")}}):\n'
SCHEDULES = (
    *("@daily", "@daily", "*/15 6-22 * * 1-5", "*/15 6-22 * * 1-5", "0 0 * * 1#2", "0 3 l * *", "0 0 13 * 5"),
    *("30 7 1,15 1-6 sun", "@yearly", "0 0 30 2 *", "61 * * * *", "0 0 1 * *", "r r * * *"),
)
TASKS = {
    "the same text in many tasks": ["{{ params.x.upper() }}", "{{ params.x.upper() }}", "{{ ds }}", "{{ ds }}"],
    "a text that fails in each": ["{{ dss }}", "{{ dss }}"],
    "of the task": ["{{ 1 // task.retries }}", "{{ 1 // task.retries }}"],
    "with other parameters": ["{{ params.x.upper() }}", "{{ params.x.upper() }}"],
}


def file(number: int, schedule: str) -> str:
    """A file whose tasks differ in what they may, so that a template renders in one task and not in another."""
    kind = list(TASKS)[number % len(TASKS)]
    lines = [DAG.format(HEAD, f"dag{number}", schedule)]
    for place, text in enumerate(TASKS[kind]):
        more = {"of the task": f"retries={place}", "with other parameters": f"params={{'x': {['b', 5][place % 2]!r}}}"}
        lines.append(f"    BashOperator(task_id='t{place}', bash_command={text!r}, {more.get(kind, '')})\n")
    return "".join(lines) + f"COUNTRY = Country('c{number}')\n"


def test_a_file_among_many_has_the_result_that_it_has_by_itself(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        {"shop.py": SHOP, **{f"dag{number}.py": file(number, each) for number, each in enumerate(SCHEDULES)}},
    )
    assert len(SCHEDULES) >= WORTH_SHARING
    environment, configured = ensure(ROOT, AIRFLOW), settings.load(project)

    def found(*paths: Path) -> dict[str, DagFile]:
        files = run_test(environment, project, configured, paths, again=True).files
        return {each.path: replace(each, seconds=0.0) for each in files}

    together = found()
    alone: dict[str, DagFile] = {}
    for number in range(len(SCHEDULES)):
        alone |= found(project / "dags" / f"dag{number}.py")
    assert together == alone
    failing = {
        path: [each.task_id for dag in file.dags for each in dag.failing_templates] for path, file in alone.items()
    }
    assert failing["dags/dag4.py"] == []
    assert failing["dags/dag5.py"] == ["t0", "t1"]
    assert failing["dags/dag6.py"] == ["t0"]
    assert failing["dags/dag3.py"] == ["t1"]
