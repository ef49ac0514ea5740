"""At which line a report says something: where the DAG or the task is made that it is about."""

from pathlib import Path

import pytest

from tests.dagtest.projects import Run, make_project, run

HEAD = (
    "from airflow.sdk import DAG, dag, task\nfrom fargate import fargate_task\nfrom pendulum import datetime, today\n"
)
ECS = (
    "from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator\n"
    "def container(name, overrides):\n"
    "    EcsRunTaskOperator(task_id=name, cluster='c', task_definition='d', overrides=overrides)\n"
)
FILES = {
    # Two DAGs with a task of the same name: the second is wrong.
    "second.py": "with DAG('first'):\n    fargate_task('ingest', task_id='load', command=['x'])\n"
    "with DAG('second'):\n    fargate_task('nothing', task_id='load', command=['x'])\n",
    "formatted.py": "for n in range(2):\n"
    "    with DAG(f'dag_{n}', schedule='0 0 30 2 *', start_date=datetime(2026, 1, 1)):\n"
    "        fargate_task(\n            'nothing', task_id=f't_{n}', command=[]\n        )\n",
    "bad_schedule.py": "good = DAG('good')\nbad = DAG(\n    'bad_one',\n    schedule='at noon',\n)\n",
    "cycle.py": "@dag()\ndef circle():\n    a, b = (fargate_task('ingest', task_id=t, command=['x']) for t in 'ab')\n"
    "    a >> b >> a\n\ncircle()\n",
    "twins.py": "with DAG('same'):\n    pass\nwith DAG('same', description='another'):\n    pass\n",
    "decorated.py": "@dag()\ndef one():\n    @task\n    def work(): ...\n    work()\n@dag()\ndef two():\n    @task\n"
    "    def work(text): ...\n    work('{{ dss }}')\none()\ntwo()\n",
    "cost.py": "@task\ndef cost(client):\n    client.get_cost(start_date=today())\n"
    "with DAG('cost', schedule='@daily', start_date=datetime(2026, 1, 1)):\n    cost(1)\n",
    "moving.py": "with DAG('fixed', schedule='@daily', start_date=datetime(2026, 1, 1)):\n    pass\n"
    "with DAG('moving', schedule='@daily', start_date=today().subtract(days=1)):\n    pass\n"
    "args = {'start_date': today().subtract(days=1)}\n"
    "@dag(schedule='@daily', default_args=args)\ndef moving_too(): ...\nmoving_too()\n",
    "later.py": f"{ECS}@task\ndef say(): ...\nwith DAG('later'):\n    told = say()\n"
    "    container('a', overrides=told)\n    container('b', overrides={'containerOverrides': told})\n",
    "none.py": f"{ECS}with DAG('none'):\n    container('c', overrides={{}})\n",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Run:
    files = {name: HEAD + text for name, text in FILES.items()}
    return run(make_project(tmp_path_factory.mktemp("project"), files, rules={"off-workers": "off"}))


FAILURES = {
    ("second.py", "container-exists"): "dags/second.py:7: second.load: there is no container 'nothing'",
    ("formatted.py", "container-exists"): "dags/formatted.py:6: dag_0.t_0: there is no container 'nothing'",
    ("formatted.py", "container-command"): "dags/formatted.py:6: dag_0.t_0: it overrides no command",
    ("formatted.py", "schedules"): "dags/formatted.py:5: dag_0: its next run cannot be computed",
    ("bad_schedule.py", "imports"): "dags/bad_schedule.py:5: ",
    ("cycle.py", "imports"): "dags/cycle.py:9: AirflowDagCycleException",
    ("cycle.py", "cycles"): "dags/cycle.py:9: circle: tasks wait for each other: a → b → a",
    ("twins.py", "duplicate-ids"): "dags/twins.py:",
    ("decorated.py", "templates-render"): "dags/decorated.py:12: two.work: the template in op_args does not render",
    ("moving.py", "start-dates"): "dags/moving.py:6: moving: its start date is made of the time",
    ("none.py", "container-exists"): "dags/none.py:6: none.c: the task names no container and no command",
}


def test_each_file_fails_its_own_rules_only(everything: Run) -> None:
    assert set(everything.said()) == set(FAILURES), everything.said()


@pytest.mark.parametrize(("name", "rule"), list(FAILURES))
def test_the_line_is_where_the_dag_or_the_task_is_made(everything: Run, name: str, rule: str) -> None:
    assert everything.said()[name, rule].startswith(FAILURES[name, rule])


def test_a_schedule_that_airflow_refuses_is_told_with_its_dag(everything: Run) -> None:
    assert "(the DAG bad_one)" in everything.said()["bad_schedule.py", "imports"]


def test_two_dags_of_one_id_in_a_file_are_told_with_both_lines(everything: Run) -> None:
    said = everything.said()["twins.py", "duplicate-ids"]
    lines = {4, 6}
    assert any(
        said.startswith(f"dags/twins.py:{one}: same: there is another DAG 'same' in this file, at line {other}")
        for one in lines
        for other in lines - {one}
    )


def test_two_dags_of_one_id_are_told_though_their_tasks_differ(tmp_path: Path) -> None:
    task = "    fargate_task({0!r}, command=['x'])\n"
    text = f"{HEAD}with DAG('same'):\n{task.format('ingest')}with DAG('same'):\n{task.format('transform')}"
    said = run(make_project(tmp_path, {"twins.py": text})).said()
    assert set(said) == {("twins.py", "duplicate-ids")}


def test_only_the_dags_that_move_are_told_each_at_its_own_start_date(everything: Run) -> None:
    (failure,) = (
        case.find("failure") for key, case in everything.cases.items() if key == ("dags/moving.py", "start-dates")
    )
    assert failure is not None
    told = f"{failure.get('message')} {failure.text}"
    assert "dags/moving.py:8: moving_too" in told
    assert "fixed" not in told
