"""DAGs that are there, or break, in one environment only."""

import json
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.facts import Dag, DagFile
from pipeline.dagtest.rules import Problem, Verdict
from pipeline.dagtest.testing import run_test
from pipeline.dagtest.variants import everywhere, together, varying
from tests.dagtest.projects import AIRFLOW, make_project, run, write

ONE, OTHER = Problem("one", "Mend it.", 3), Problem("other", "Mend it.", 4)


@pytest.mark.parametrize(
    ("text", "helper", "varies"),
    [
        ("RELEASE.environment == 'prod'", "", True),
        ("import helper", "IS_PROD = RELEASE.environment == 'prod'", True),
        ("environment = dict()", "self.environments", False),
        ("# RELEASE.environment", "'''`RELEASE.environment` is the name.'''", False),
        ("RELEASE.environment ==", "", True),
        ("", "", False),
    ],
)
def test_a_file_varies_if_it_or_a_module_of_it_reads_the_environment(text: str, helper: str, *, varies: bool) -> None:
    texts = {"dags/a.py": text, "dags/helper.py": helper}
    files = [DagFile("dags/a.py", own=("dags/a.py", "dags/helper.py"))]
    assert varying(files, texts.__getitem__) == (("dags/a.py",) if varies else ())


def test_a_file_has_the_dags_that_it_has_anywhere() -> None:
    daily, hourly = Dag("daily", line=1), Dag("hourly", line=2)
    files = {"dev": [DagFile("a", dags=(hourly,))], "prod": [DagFile("a", dags=(daily,)), DagFile("b")]}
    assert everywhere(files) == (DagFile("a", dags=(daily, hourly)), DagFile("b"))


@pytest.mark.parametrize(
    ("dev", "prod", "problems"),
    [
        ((ONE,), (ONE,), ("one",)),
        ((), (ONE,), ("in prod: one",)),
        ((ONE,), (), ("in dev: one",)),
        ((ONE, OTHER), (OTHER,), ("other", "in dev: one")),
        ((), (), ()),
    ],
)
def test_a_problem_says_where_it_is_unless_it_is_everywhere(
    dev: tuple[Problem, ...], prod: tuple[Problem, ...], problems: tuple[str, ...]
) -> None:
    verdicts = {"dev": [Verdict("a", "r", dev, seconds=1)], "prod": [Verdict("a", "r", prod, seconds=2)]}
    (found,) = together(verdicts)
    assert tuple(problem.what for problem in found.problems) == problems
    assert found.seconds == 2


def test_a_rule_that_does_not_apply_anywhere_is_skipped_and_one_that_does_somewhere_is_not() -> None:
    nowhere, here = Verdict("a", "r", skipped="the file holds no DAG"), Verdict("a", "r", seconds=1)
    assert together({"dev": [nowhere], "prod": [nowhere]}) == (nowhere,)
    assert together({"dev": [here], "prod": [nowhere]}) == (Verdict("a", "r"),)
    assert together({"dev": [nowhere], "prod": [here]}) == (here,)


HEAD = "from airflow.sdk import DAG\nfrom fargate import RELEASE, fargate_task\n"
FILES = {
    "everywhere.py": f"{HEAD}with DAG('everywhere'):\n    fargate_task('ingest', command=['x'])\n",
    "production.py": (
        f"{HEAD}if RELEASE.environment == 'prod':\n"
        "    with DAG('production'):\n        fargate_task('ingest', command=['x'])\n"
    ),
    "trial.py": (
        f"{HEAD}if RELEASE.environment == 'dev':\n"
        "    with DAG('trial'):\n        fargate_task('nothing', command=['x'])\n"
    ),
    "places.py": "from fargate import RELEASE\nIS_DEV = RELEASE.environment == 'dev'\n",
    "helped.py": f"{HEAD}from places import IS_DEV\nwith DAG('helped', schedule='@hourly' if IS_DEV else '@daily'):\n"
    "    fargate_task('ingest', command=['x'])\n",
    ".airflowignore": "fargate.py\nplugins/\nplaces.py\n",
}


def test_what_depends_on_the_environment_is_tested_as_each(tmp_path: Path) -> None:
    project = make_project(tmp_path, FILES)
    found = run(project)
    assert found.result.exit_code == 1
    assert found.said().keys() == {("trial.py", "container-exists")}
    assert "trial.py:5: trial.nothing: in dev: there is no container 'nothing'" in " ".join(found.said().values())
    assert "4 files, 4 DAGs, 4 tasks: 1 with problems" in found.result.output
    assert "holds no DAG" not in found.result.output
    told = json.loads((project / "reports/dags.json").read_text())["dags"]
    assert {name: sorted(dags) for name, dags in told.items()} == {
        "dev": ["everywhere", "helped", "trial"],
        "prod": ["everywhere", "helped", "production"],
    }
    assert told["dev"]["helped"]["schedule"] != told["prod"]["helped"]["schedule"]


def test_the_results_of_each_environment_are_kept(tmp_path: Path) -> None:
    project = make_project(tmp_path, FILES)
    airflow, configured = ensure(project, AIRFLOW), settings.load(project)

    def kept() -> dict[str, set[str]]:
        outcome = run_test(airflow, project, configured)
        here, there = ({Path(file.path).name: file for file in files} for files in outcome.environments.values())
        assert {name for name in here if here[name] is there[name]} == {"everywhere.py"}, "imported once"
        return {
            name: {Path(file.path).name for file in files if file.is_kept}
            for name, files in outcome.environments.items()
        }

    everything = {"everywhere.py", "production.py", "trial.py", "helped.py"}
    assert kept() == {"dev": set(), "prod": set()}
    assert kept() == {"dev": everything, "prod": everything}
    write(project, {"trial.py": FILES["trial.py"].replace("'nothing'", "'ingest'")})
    assert kept() == {"dev": everything - {"trial.py"}, "prod": everything - {"trial.py"}}
