"""The rehearsal of an upgrade: what is compared, and two real Airflows."""

from pathlib import Path

import pytest

from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.rules import Problem, Verdict
from pipeline.dagtest.upgrade import compare
from tests.dagtest.projects import ROOT, make_project, run

GOOD = Verdict("dags/a.py", "imports")
FAILS = Verdict("dags/a.py", "imports", (Problem("no module", "m", 1),))
WARNS = Verdict("dags/a.py", "imports", (Problem("no module", "m", 1),), level="warn")
OTHER = Verdict("dags/a.py", "imports", (Problem("another", "m", 1),))
RETRIES = Verdict("dags/a.py", "retries", (Problem("none", "m", 1),))
MORE_RETRIES = Verdict("dags/a.py", "retries", (Problem("too few", "m", 1),))


@pytest.mark.parametrize(
    ("now", "then", "breaking", "warnings", "before"),
    [
        (GOOD, GOOD, (), (), 0),
        (GOOD, FAILS, (FAILS,), (), 0),
        (WARNS, FAILS, (FAILS,), (), 0),
        (FAILS, FAILS, (), (), 1),
        (FAILS, OTHER, (), (), 1),
        (FAILS, RETRIES, (), (), 1),
        (RETRIES, FAILS, (FAILS,), (), 0),
        (RETRIES, MORE_RETRIES, (MORE_RETRIES,), (), 0),
        (FAILS, GOOD, (), (), 0),
        (GOOD, WARNS, (), (WARNS,), 0),
        (WARNS, WARNS, (), (), 1),
    ],
)
def test_what_breaks_is_what_fails_then_and_not_now(
    now: Verdict, then: Verdict, breaking: tuple[Verdict, ...], warnings: tuple[Verdict, ...], before: int
) -> None:
    found = compare([now], [then])
    assert (found.breaking, found.warnings, found.before) == (breaking, warnings, before)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("Airflow 3.0.6 does not have it: x", "Airflow 3.3.1 does not have it: x"),
        (
            "E: in '/home/me/.airflow/043f39334f564182/lib/python3.11/site-packages/airflow/dag.py:12'",
            "E: in '/home/me/.airflow/6ec341bcacd36866/lib/python3.12/site-packages/airflow/sdk/dag.py:345'",
        ),
        ("TypeError: <object at 0x7f3e4737f650>", "TypeError: <object at 0x7f3e4737f6a0>"),
    ],
)
def test_the_same_problem_in_another_version_at_another_place_is_the_same(now: str, then: str) -> None:
    old, new = (Verdict("dags/a.py", "imports", (Problem(what, "m", 1),)) for what in (now, then))
    assert compare([old], [new]).before == 1


FILES = {
    "both.py": "from airflow.decorators import dag\n@dag(schedule=None)\ndef both(): ...\nboth()\n",
    "new.py": "from airflow.sdk import DAG\nd = DAG('new')\n",
    "wrong.py": "import nothing_like_it  # airflow DAG\n",
}


def test_a_rehearsal_tells_what_would_break_and_only_that(tmp_path: Path) -> None:
    ensure(ROOT, "2.10.3")
    found = run(make_project(tmp_path, FILES), "--airflow", "2.10.3")
    assert found.result.exit_code == 1
    assert "dags/new.py:1 ModuleNotFoundError: No module named 'airflow.sdk'" in found.result.output
    assert "Airflow 2.10.3 has no such module" in found.result.output
    assert "from Airflow 3.3.1 to 2.10.3: 1 DAG files break" in found.result.output
    assert "dags/wrong.py" not in found.result.output


def test_a_version_that_is_not_supported_is_refused_with_those_that_are(tmp_path: Path) -> None:
    project = make_project(tmp_path, {})
    with pytest.raises(FileNotFoundError):  # no report: nothing was tested
        run(project, "--airflow", "1.10.15")
