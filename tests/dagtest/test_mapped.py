"""What a file writes out for the tasks of a mapped one is judged as that of any other task."""

import json
from pathlib import Path

import pytest

from tests.dagtest.projects import make_project, run

HEADS = {
    "3.3.1": "from airflow.providers.standard.operators.bash import BashOperator\n",
    "2.10.3": "from airflow.operators.bash import BashOperator\n",
}
ECS = "EcsRunTaskOperator.partial(task_id='t', cluster='', task_definition='')"
TASKS = {
    "names.py": f"{ECS}.expand(overrides=[{{'containerOverrides': [{{'name': 'nope', 'command': 'x'}}]}}] * 3)",
    "named.py": f"{ECS}.expand_kwargs([{{'overrides': {{'containerOverrides': [{{'name': 'no', 'command': 'x'}}]}}}}])",
    "right.py": f"{ECS}.expand(overrides=[{{'containerOverrides': [{{'name': n, 'command': ['x']}}]}} for n in "
    "('ingest', 'transform', 'ingest')])",
    "later.py": f"{ECS}.expand(overrides=given())",
    "texts.py": "BashOperator.partial(task_id='t').expand(bash_command=['echo {{ ds }}', 'echo {{ nope }}'])",
    "kwargs.py": "BashOperator.partial(task_id='t').expand_kwargs([{'bash_command': 'x', 'env': {'A': '{{ nope }}'}}])",
    "pairs.py": "BashOperator.partial(task_id='t', bash_command='echo').expand(env=[{'A': '{{ ds }}'}])",
    "results.py": "BashOperator.partial(task_id='t').expand(bash_command=given())",
    "no_template.py": "BashOperator.partial(task_id='t', bash_command='x').expand(output_encoding=['{{ nope }}'])",
}
FILE = """from airflow.decorators import task
from airflow.models.dag import DAG
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from pendulum import datetime
with DAG({name!r}, schedule="@daily", start_date=datetime(2026, 1, 1)):
    @task
    def given(): ...
    {task}
"""


@pytest.mark.parametrize("airflow", HEADS)
def test_values_that_are_written_out_for_mapped_tasks_are_judged(tmp_path: Path, airflow: str) -> None:
    files = {name: HEADS[airflow] + FILE.format(name=name, task=text) for name, text in TASKS.items()}
    project = make_project(
        tmp_path, {**files, "fargate.py": "", ".airflowignore": "fargate.py\nplugins/\n"}, airflow=airflow
    )
    found = run(project)
    said = found.said()
    assert set(said) == {
        ("names.py", "container-exists"),
        ("names.py", "container-command"),
        ("named.py", "container-exists"),
        ("named.py", "container-command"),
        ("texts.py", "templates-render"),
        ("kwargs.py", "templates-render"),
    }
    assert "dags/names.py:9: names.py.t: there is no container 'nope'" in said["names.py", "container-exists"]
    assert said["names.py", "container-exists"].count("'nope'") == 1
    assert "the template in bash_command does not render: 'echo {{ nope }}'" in said["texts.py", "templates-render"]
    told = json.loads((project / "reports" / "dags.json").read_text())
    assert told["dags"]["prod"]["right.py"]["tasks"]["t"]["containers"] == ["ingest", "transform"]
