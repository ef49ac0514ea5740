"""What other people's DAGs taught: shapes that are common out there and were told wrongly, in words of our own."""

from pathlib import Path

import pytest

from tests.dagtest.projects import Run, make_project, run

HEAD = """from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
from pendulum import datetime
"""
TASK = """with DAG("{name}", schedule="@daily", start_date=datetime(2026, 1, 1)):
    BashOperator(task_id="t", {given})
"""
OLD = """from airflow import DAG, AirflowException
from pendulum import datetime
DAG("d{number}", start_date=datetime(2026, 1, 1))
"""
BODIES = {
    # Libraries do so while they are imported.
    "nameless.py": 'import tempfile\ntempfile.TemporaryFile().close()\nDAG("a")\n',
    "asks_aws.py": 'import boto3\nssm = boto3.client("ssm")\nssm.get_parameter(Name="subnets")\nDAG("b")\n',
    "strange.py": TASK.format(name="c", given='bash_command="b", retry_dely=5'),
    "no_file.py": TASK.format(name="d", given='bash_command="sql/load.sh"'),
    "gone.py": TASK.format(name="e", given='bash_command="load {{ execution_date }}"'),
    "misspelt.py": TASK.format(name="f", given='bash_command="load {{ dss }}"'),
    # Written for two versions of Airflow.
    "both.py": """import airflow
def task():
    if airflow.__version__.startswith("3."):
        from airflow.sdk import get_current_context
    else:
        from airflow.operators.dummy import DummyOperator
        from airflow.operators.python import get_current_context
    get_current_context()
DAG("i")
""",
    # Gone in the Python of MWAA, if not in the one that the tests run on.
    "python.py": "def reload(module):\n    import imp\n    imp.reload(module)\nDAG('h')\n",
    "uncalled.py": "from airflow.sdk import dag\n@dag\ndef never(): ...\n",
    "factory.py": "from airflow.sdk import dag\n@dag\ndef made_elsewhere(): ...\n",
    "uses_factory.py": "from factory import made_elsewhere\nmade_elsewhere()\n",
    # `append_env` is one operator's, `team` nobody's.
    "arguments.py": """with DAG("j", default_args={"reties": 3, "catchup": 0, "team": "", "append_env": 1}):
    BashOperator(task_id="t", bash_command="b")
    BashOperator.partial(task_id="u").expand(bash_command=["b"])
""",
    "fails_before_it_adds_a_folder.py": """from airflow.models import Gone
import sys
sys.path.insert(0, "dags/elsewhere")
from found_later import x
import found_never
DAG("k")
""",
    "elsewhere/found_later.py": "x = 1\n",
    "old.py": 'from airflow.models.param import Param\nDAG("g", params={"x": Param(1)})\n',
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Run:
    project = make_project(
        tmp_path_factory.mktemp("project"), {name: HEAD + body for name, body in BODIES.items()}, on_workers=["*"]
    )
    return run(project)


def test_each_file_fails_for_its_own_reason_only(found: Run) -> None:
    assert set(found.said()) == {
        ("asks_aws.py", "no-network"),
        ("strange.py", "imports"),
        ("no_file.py", "templates-render"),
        ("gone.py", "templates-render"),
        ("misspelt.py", "templates-render"),
        ("python.py", "modules"),
        ("fails_before_it_adds_a_folder.py", "imports"),
        ("fails_before_it_adds_a_folder.py", "modules"),
    }


def test_a_module_that_a_failing_file_might_have_found_is_not_told_as_missing(found: Run) -> None:
    said = found.said()["fails_before_it_adds_a_folder.py", "modules"]
    assert "'found_never'" in said
    assert "found_later" not in said


def test_who_asks_for_credentials_is_told_that_this_is_what_it_connects_for(found: Run) -> None:
    said = found.said()["asks_aws.py", "no-network"]
    assert "dags/asks_aws.py:5: connect to 169.254.169.254:80, where AWS's SDK finds credentials" in said


def test_arguments_that_airflow_refuses_are_named(found: Run) -> None:
    said = found.said()["strange.py", "imports"]
    assert "Invalid arguments were: **kwargs: {'retry_dely': 5}" in said
    assert "Take these arguments out" in said


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("no_file.py", "Put the file beside the DAG's, or its folder into template_searchpath."),
        ("gone.py", "Airflow 3 has no execution_date; use logical_date."),
        ("misspelt.py", "Correct the name or the filter."),
    ],
)
def test_what_keeps_a_template_from_rendering_has_a_mend_of_its_own(found: Run, name: str, mend: str) -> None:
    assert found.said()[name, "templates-render"].endswith(mend)


def test_a_module_that_python_dropped_is_not_looked_for_among_packages(found: Run) -> None:
    said = found.said()["python.py", "modules"]
    assert said.startswith("dags/python.py:5: the module 'imp' is neither in MWAA's image nor")
    assert said.endswith("Python 3.12, which MWAA runs, no longer has it: use importlib.")


def test_an_old_name_is_told_once(found: Run) -> None:
    warned = [line for line in found.result.output.splitlines() if line.startswith("! dags/old.py")]
    assert warned
    assert len(warned) == len(set(warned))


def test_names_that_airflow_itself_warns_of_leave_airflow_where_it_is(tmp_path: Path) -> None:
    files = {f"d{number}.py": OLD.format(number=number) for number in range(8)}
    found = run(make_project(tmp_path, files, airflow="2.10.3"))
    assert not found.said()
    assert "Import 'AirflowException' directly from the airflow module is deprecated" in found.result.output


def test_what_has_no_effect_is_told_where_it_stands(found: Run) -> None:
    warned = found.said("skipped")
    told = {key: text for key, text in warned.items() if key[1] in ("uncalled-dags", "default-args")}
    told = {key: text for key, text in told.items() if text.startswith("warning: ")}
    assert set(told) == {("uncalled.py", "uncalled-dags"), ("arguments.py", "default-args")}
    assert told["uncalled.py", "uncalled-dags"].startswith("warning: dags/uncalled.py:6: nothing calls never(), ")
    assert "dags/arguments.py:4: j: default_args has 'reties', " in told["arguments.py", "default-args"]
    assert "Did you mean 'retries'?" in told["arguments.py", "default-args"]
    assert "DAG(..., catchup=...)" in told["arguments.py", "default-args"]
    assert "'team'" in told["arguments.py", "default-args"]
    assert "append_env" not in told["arguments.py", "default-args"]
