"""DAGs that nobody here wrote: the examples inside Airflow and its providers, beside Airflow's own DagBag."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure
from pipeline.process import run as run_command
from tests.dagtest.projects import ROOT, Run, make_project, run

VERSIONS = ("3.3.1", "2.10.3")
EXAMPLES = ("example_dags", "providers/standard/example_dags", "providers/common/sql/example_dags")
DAGBAG = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.append(str(folder))
more = {"bundle_path": folder, "bundle_name": "dags", "include_examples": False}
takes = DagBag.__init__.__code__.co_varnames
bag = DagBag(folder, load_op_links=False, **{name: value for name, value in more.items() if name in takes})
print("\\n" + json.dumps({
    "errors": sorted(Path(folder, path).name for path in bag.import_errors),
    "dags": sorted((dag_id, len(dag.tasks)) for dag_id, dag in bag.dags.items()),
}))
"""


@pytest.fixture(scope="module", params=VERSIONS)
def examples(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, AirflowEnvironment]:
    """A project whose DAG folder holds the examples of an Airflow."""
    environment = ensure(ROOT, request.param)
    # With the examples, Airflow registers plugins that two of them use.
    project = make_project(
        tmp_path_factory.mktemp("examples"),
        {},
        airflow=request.param,
        environment={"AIRFLOW__CORE__LOAD_EXAMPLES": "True"},
    )
    (packages,) = environment.folder.glob("lib/python*/site-packages/airflow")
    for number, folder in enumerate(EXAMPLES):
        if (packages / folder).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "plugins", "standard")
            shutil.copytree(packages / folder, project / "dags" / f"examples{number}", ignore=ignored)
    return project, environment


@pytest.fixture(scope="module")
def tested(examples: tuple[Path, AirflowEnvironment]) -> Run:
    return run(examples[0])


def test_what_is_imported_is_what_airflow_itself_imports(
    examples: tuple[Path, AirflowEnvironment], tested: Run
) -> None:
    project, environment = examples
    variables = {**environment.variables(project / "dags", "eu-west-1"), "AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
    answer = run_command([*environment.alone(variables), str(environment.python), "-c", DAGBAG, str(project / "dags")])
    airflows = json.loads(answer.splitlines()[-1])
    assert len(airflows["dags"]) > 40
    assert airflows["errors"] == sorted({name for name, rule in tested.said() if rule == "imports"})
    line = tested.result.output.strip().splitlines()[-1]
    tasks = sum(count for _, count in airflows["dags"])
    assert f"{len(airflows['dags'])} DAGs, {tasks} tasks" in line


# What the rules find in Airflow's own examples, and why each of them is right.
FOUND = {
    ("tutorial_objectstorage.py", "modules"),  # pandas and duckdb, which are not in MWAA's image
    ("tutorial_taskflow_templates.py", "templates-render"),  # Airflow 2.10 ships it without its sql/test.sql
    ("example_passing_params_via_test_command.py", "templates-render"),  # a scheduled run has no params.foo
}


def test_no_rule_denies_what_is_right(tested: Run) -> None:
    found = set(tested.said())
    assert found <= FOUND, {key: tested.said()[key] for key in found - FOUND}
