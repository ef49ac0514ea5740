"""`pipeline test dags` beside Airflow's own DagBag, over 500 generated DAGs; and after a change of one file.

DagBag imports all files in one process and no more. Airflow's processor also stores each DAG (serialization), and so do
we, in a process for each file; the second peer is a DagBag that stores, too.

    python -m pytest -m benchmark tests/benchmarks/test_dagtest.py -s

Wall time from the start of the process to its end, all of it: our command, Airflow's import, ruff, the reports. Each is
run several times in turns, and the best of each counts: other work on the machine only adds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.dagtest.airflow_environment import AirflowEnvironment, ensure
from tests.dagtest.projects import AIRFLOW, ROOT, make_project

pytestmark = pytest.mark.benchmark
FILES = 500
MOST = 3  # times a DagBag that stores: more than this is a mistake, not a busy machine
TURNS = 2
DAGBAG = """
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
folder = Path(sys.argv[1])
sys.path.append(str(folder))
bag = DagBag(folder, load_op_links=False, bundle_path=folder, bundle_name="dags")
if sys.argv[3] == "store":
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    for dag in bag.dags.values():
        LazyDeserializedDAG.from_dag(dag)
assert len(bag.dags) == int(sys.argv[2]) and not bag.import_errors, bag.import_errors
"""
TEMPLATE = '''"""Every night: yesterday's {name} from the source into the table of {name}, and the day's report."""

from datetime import timedelta

from airflow.sdk import DAG, Param, chain, task
from airflow.providers.standard.operators.empty import EmptyOperator
from fargate import fargate_task
from pendulum import datetime

DAY = "{{{{ params.day or data_interval_start | ds }}}}"
COUNTRIES = {countries!r}

with DAG(
    dag_id="{name}_daily",
    description="A day's {name}: ingest, validate, transform, publish",
    doc_md=__doc__,
    schedule="{minute} {hour} * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={{"day": Param(None, type=["null", "string"], format="date", description="Load this day instead")}},
    default_args={{
        "owner": "shop-data",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    }},
    tags=["{name}", "generated"],
) as dag:
    start = EmptyOperator(task_id="start")
    done = EmptyOperator(task_id="done")

    @task.short_circuit
    def is_open(day: str) -> bool:
        """Whether there is anything to load."""
        return bool(day)

    checked = is_open(DAY)
    start >> checked
    for country in COUNTRIES:
        chain(
            checked,
            fargate_task("ingest", task_id=f"ingest_{{country}}", command=["--day", DAY, "--country", country]),
            fargate_task("transform", task_id=f"validate_{{country}}", command=["validate", "--day", DAY, country]),
            fargate_task("transform", task_id=f"parquet_{{country}}", command=["parquet", "--day", DAY, country]),
            done,
        )
'''


@pytest.fixture(scope="module")
def environment() -> AirflowEnvironment:
    return ensure(ROOT, AIRFLOW)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 DAG files of about 2 kB and 9 to 15 tasks, which share one helper."""
    countries = ("at", "be", "ch", "de")
    files = {
        f"{group}/{group}_{number}.py": TEMPLATE.format(
            name=f"{group}_{number}", countries=countries[: 2 + number % 3], minute=number % 60, hour=number % 24
        )
        for number in range(FILES)
        for group in [("orders", "stock", "prices", "customers")[number % 4]]
    }
    return make_project(tmp_path_factory.mktemp("many"), files)


def seconds(command: Sequence[str], folder: Path) -> float:
    """The wall time of a command that must succeed."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return took


def best(*runs: Callable[[int], float]) -> list[float]:
    """The best time of each, after turns in which each runs once."""
    times = [[run(turn) for run in runs] for turn in range(TURNS)]
    return [min(column) for column in zip(*times, strict=True)]


def test_500_dags_beside_airflows_own_dagbag(environment: AirflowEnvironment, project: Path) -> None:
    dags = (project / "dags").resolve()
    airflow = [*environment.alone(environment.variables(dags, "eu-west-1")), str(environment.python), "-c", DAGBAG]
    ours = [str(Path(sys.executable).with_name("pipeline")), "test", "dags", "--again"]
    dagbag, storing, tool = best(
        lambda _: seconds([*airflow, str(dags), str(FILES), "import"], project),
        lambda _: seconds([*airflow, str(dags), str(FILES), "store"], project),
        lambda _: seconds(ours, project),
    )
    print(  # noqa: T201 - the result
        f"\n{FILES} DAGs: DagBag {dagbag:.2f} s, DagBag that stores {storing:.2f} s, pipeline test dags {tool:.2f} s: "
        f"ratios {tool / dagbag:.2f} (aim 0.6) and {tool / storing:.2f}"
    )
    assert tool < MOST * storing


def test_one_changed_file_beside_the_bare_import_of_airflow(environment: AirflowEnvironment, project: Path) -> None:
    ours = [str(Path(sys.executable).with_name("pipeline")), "test", "dags"]
    variables = environment.variables(project / "dags", "eu-west-1")
    bare = [*environment.alone(variables), str(environment.python), "-c", "import airflow"]
    seconds(ours, project)
    changed = project / "dags" / "orders" / "orders_0.py"

    def after_a_change(turn: int) -> float:
        changed.write_text(f"{changed.read_text()}# {turn}\n")
        return seconds(ours, project)

    imported, tool, nothing = best(lambda _: seconds(bare, project), after_a_change, lambda _: seconds(ours, project))
    print(  # noqa: T201 - the result
        f"\nimport airflow {imported:.2f} s; one of {FILES} files changed: {tool:.2f} s, ratio {tool / imported:.2f} "
        f"(aim 1.2); nothing changed: {nothing:.2f} s"
    )
    assert tool < 3 * imported
