"""`pipeline test dags` with a real Airflow, on DAGs that are wrong in the ways DAGs are."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from tests.dagtest.projects import ROOT, Run, make_project, run

HEAD = """from airflow.sdk import DAG, Variable, task
from fargate import fargate_task
from pendulum import datetime
"""
# What stands after the head in each file → (file, rule) of the report, with the line and the words it says.
FILES = {
    "good.py": 'with DAG("good", start_date=datetime(2026, 1, 1)):\n    fargate_task("ingest", command=["{{ ds }}"])\n',
    "broken.py": 'with DAG("broken"\n',
    "raises.py": "def f():\n    return 1 / 0\nf()\n",
    "needs.py": 'import pandas_of_ours\nDAG("needs")\n',
    "inner.py": 'with DAG("inner"):\n    @task.branch\n    def t():\n        import numpie\n    t()\n',
    "unknown.py": 'with DAG("unknown"):\n    fargate_task("transfrom", command=["x"])\n',
    "shape.py": 'with DAG("shape"):\n    fargate_task("ingest", command=["x", 5])\n',
    "template.py": 'with DAG("template"):\n    fargate_task("ingest", command=["{{ data_interval_strat }}"])\n',
    "cycle.py": 'with DAG("cycle") as dag:\n'
    '    a, b = (fargate_task("ingest", task_id=t, command=["x"]) for t in "ab")\n'
    "    a >> b >> a\n",
    "never.py": 'with DAG("never", schedule="0 0 30 2 *", start_date=datetime(2026, 1, 1)):\n    pass\n',
    "moves.py": 'import pendulum\nwith DAG("moves", schedule="@daily", start_date=pendulum.now()):\n    pass\n',
    "one.py": 'dag = DAG("twin")\n',
    "two.py": 'dag = DAG("twin")\n',
    "asks.py": 'dag = DAG("asks", description=Variable.get("what", default="-"))\n',
    "worker.py": 'with DAG("worker"):\n    @task\n    def work(): ...\n    work()\n',
    "old.py": 'from airflow.operators.bash import BashOperator\nDAG("old")\n',
    "no_dag.py": "x = 'airflow dag'\n",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Run:
    files = {name: HEAD + text for name, text in FILES.items()}
    return run(make_project(tmp_path_factory.mktemp("project"), files))


FAILURES = {
    ("broken.py", "imports"): "dags/broken.py:4: SyntaxError: '(' was never closed",
    ("raises.py", "imports"): "dags/raises.py:5: ZeroDivisionError: division by zero",
    ("needs.py", "imports"): "dags/needs.py:4: ModuleNotFoundError: No module named 'pandas_of_ours'",
    ("needs.py", "modules"): "dags/needs.py:4: the module 'pandas_of_ours' is neither in MWAA's image nor from",
    ("inner.py", "modules"): "dags/inner.py:7: the module 'numpie' is neither in MWAA's image nor from",
    ("unknown.py", "container-exists"): "dags/unknown.py:5: unknown.transfrom: there is no container 'transfrom'; "
    "containers that run as tasks: ingest, transform",
    ("shape.py", "container-command"): "dags/shape.py:5: shape.ingest: its command holds what is no text: [5]",
    ("template.py", "templates-render"): "dags/template.py:5: template.ingest: the template in overrides does not "
    "render: '{{ data_interval_strat }}': UndefinedError: 'data_interval_strat' is undefined",
    ("cycle.py", "imports"): "dags/cycle.py:4: AirflowDagCycleException: Cycle detected in Dag: cycle.",
    ("cycle.py", "cycles"): "dags/cycle.py:4: cycle: tasks wait for each other: a → b → a",
    ("never.py", "schedules"): "dags/never.py:4: never: its next run cannot be computed: CroniterBadDateError",
    ("moves.py", "start-dates"): "dags/moves.py:5: moves: its start date is made of the time",
    ("one.py", "duplicate-ids"): "dags/one.py:4: twin: there is a DAG 'twin' in dags/two.py, too",
    ("two.py", "duplicate-ids"): "dags/two.py:4: twin: there is a DAG 'twin' in dags/one.py, too",
    ("asks.py", "no-variables"): "dags/asks.py:4: Variable.get 'what', while the file is parsed",
}


def test_each_bad_file_fails_its_own_rule_with_the_line_and_the_others_are_unaffected(everything: Run) -> None:
    assert isinstance(everything.result.exception, PipelineError)
    assert everything.result.exception.exit_code == 1
    assert set(everything.said()) == set(FAILURES)


@pytest.mark.parametrize(("name", "rule"), FAILURES)
def test_the_message_says_where_and_what(everything: Run, name: str, rule: str) -> None:
    assert everything.said()[name, rule].startswith(FAILURES[name, rule])


def test_warnings_tell_and_do_not_fail(everything: Run) -> None:
    skipped = {key: text for key, text in everything.said("skipped").items() if text.startswith("warning: ")}
    assert set(skipped) == {("worker.py", "off-workers"), ("old.py", "deprecated-apis")}
    assert skipped["worker.py", "off-workers"].startswith("warning: dags/worker.py:6: worker.work: it does its work on")
    assert "airflow.operators.bash" in skipped["old.py", "deprecated-apis"]


def test_a_file_without_a_dag_is_named_as_such(everything: Run) -> None:
    assert "holds no DAG" in everything.said("skipped")["no_dag.py", "schedules"]


def test_what_one_file_does_to_airflow_no_other_meets(tmp_path: Path) -> None:
    plain = {f"plain_{number:02}.py": f'{HEAD}DAG("plain_{number}")\n' for number in range(20)}
    spoiling = {
        "plain_05_spoils.py": HEAD + 'DAG("a")\nDAG.__init__ = None\n',
        "plain_10_spoils.py": HEAD + 'DAG("b")\nsetattr(DAG, "dag_id", "spoilt")\n',
        "plain_15_spoils.py": HEAD + 'import warnings\nDAG("c")\nwarnings.warn("of mine")\nint.twin = DAG("d")\n',
    }
    found = run(make_project(tmp_path, {**plain, **spoiling}))
    assert set(found.said()) == {("plain_15_spoils.py", "imports")}
    assert "cannot set 'twin' attribute of immutable type 'int'" in found.said()["plain_15_spoils.py", "imports"]


def test_good_dags_pass_and_nothing_is_left_in_their_folder(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"good.py": HEAD + FILES["good.py"]})
    before = sorted((project / "dags").rglob("*"))
    good = run(project)
    assert good.result.exit_code == 0
    assert not good.said()
    assert sorted((project / "dags").rglob("*")) == before


def test_what_the_dags_are_is_told_with_every_file_beside_them(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"good.py": HEAD + FILES["good.py"], "sql/orders.sql": "select 1"})
    run(project)
    told = json.loads((project / "reports/dags.json").read_text())
    assert told["dags"]["prod"]["good"]["file"] == "good.py"
    files = [path for path in (project / "dags").rglob("*") if path.is_file()]
    assert told["files"] == {
        str(path.relative_to(project / "dags")): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    assert {"good.py", "fargate.py", "sql/orders.sql"} <= set(told["files"])


def test_the_dag_folder_may_be_a_link(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"good.py": HEAD + FILES["good.py"]})
    (project / "src").mkdir()
    (project / "dags").rename(project / "src" / "dags")
    (project / "dags").symlink_to("src/dags")
    found = run(project)
    assert found.result.exit_code == 0, found.result.output
    assert json.loads((project / "reports/dags.json").read_text())["dags"]["prod"]["good"]["file"] == "good.py"


def test_the_settings_switch_rules_and_say_what_the_team_demands(tmp_path: Path) -> None:
    files = {name: HEAD + FILES[name] for name in ("asks.py", "worker.py", "one.py", "two.py", "good.py")}
    project = make_project(
        tmp_path,
        files,
        rules={"no-variables": "warn", "off-workers": "deny", "owners": "deny", "duplicate-ids": "off"},
        on_workers=["worker.*"],
        owners=["shop-*"],
        variables={"what": "sample"},
        exceptions={"owners": ["dags/worker.py"]},
    )
    found = run(project)
    assert set(found.said()) == {("good.py", "owners")}
    assert "its owner is 'airflow'" in found.said()["good.py", "owners"]
    assert "warning: dags/asks.py:4: Variable.get 'what'" in found.said("skipped")["asks.py", "no-variables"]
    assert not [rule for _, rule in found.cases if rule == "duplicate-ids"]


def test_an_exception_lets_an_access_happen_for_the_files_it_names_only(tmp_path: Path) -> None:
    files = dict.fromkeys(("old_asks.py", "asks.py"), HEAD + FILES["asks.py"])
    project = make_project(tmp_path, files, exceptions={"no-variables": ["dags/old_*"]}, rules={"duplicate-ids": "off"})
    found = run(project)
    assert set(found.said()) == {("asks.py", "no-variables")}
    assert "old_asks.py" not in {name for name, rule in found.said("skipped") if rule in ("imports", "schedules")}


def test_the_sample_project_is_ready_for_airflow(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (ROOT / "dags").glob("*.py")}
    project = make_project(tmp_path, {**files, ".airflowignore": (ROOT / "dags" / ".airflowignore").read_bytes()})
    shutil.rmtree(project / "containers")
    shutil.copytree(ROOT / "containers", project / "containers", ignore=shutil.ignore_patterns("__pycache__"))
    sample = run(project)
    assert sample.result.exit_code == 0, sample.said()


def test_files_are_imported_under_the_options_of_production_and_with_mwaas_executor(tmp_path: Path) -> None:
    """The options that lead to services of an environment are left out; ours take precedence."""
    options = {
        "core.default_task_retries": "3",
        "core.dag_discovery_safe_mode": "False",
        "core.dag_ignore_file_syntax": "regexp",
        "core.dags_folder": "/nowhere",
        "secrets.backend": "nothing.like.it",
    }
    head = "from airflow.sdk import DAG\nfrom airflow.providers.standard.operators.empty import EmptyOperator\n"
    files = {
        "retried.py": f"{head}with DAG('a'):\n    EmptyOperator(task_id='t', executor='CeleryExecutor')\n",
        "made.py": "from factory import build\nglobals().update(build(1 / 0))\n",
        "factory.py": "build = dict\n",
        "skip/this.py": "1 / 0  # airflow DAG\n",
        ".airflowignore": "fargate.py\nplugins/\nfactory.py\nskip/.*\n",
    }
    project = make_project(tmp_path, files, rules={"retries": "deny"})
    settings = json.loads((project / "cdk.json").read_text())
    environments = settings["context"]["pipeline"]["environments"]
    environments["dev"]["airflow_options"] = {"core.default_task_retries": "0"}
    environments["prod"]["airflow_options"] = options
    (project / "cdk.json").write_text(json.dumps(settings))
    found = run(project)
    assert set(found.said()) == {("made.py", "imports")}
    assert "ZeroDivisionError" in found.said()["made.py", "imports"]
    assert {Path(path).name for path, _ in found.cases} == {"retried.py", "made.py"}


def test_names_and_messages_that_are_no_text_are_told_as_well(tmp_path: Path) -> None:
    broken = "from airflow.sdk import DAG\nDAG('a')\nraise ValueError('\\ud800')\n"
    project = make_project(tmp_path, {os.fsdecode(b"caf\xe9.py"): broken, "half.py": broken})
    found = run(project)
    assert "2 files" in found.result.output, found.result.output
    assert isinstance(found.result.exception, PipelineError)
    assert found.said()["half.py", "imports"].startswith("dags/half.py:3: ValueError: ?.")
