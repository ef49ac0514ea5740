"""The rules about Airflow's names that are gone, going, or to go."""

import pytest

from pipeline.dagtest.facts import DagFile, Remark
from pipeline.dagtest.rules import Project, judge


@pytest.mark.parametrize(
    ("airflow", "removed", "deprecated", "later"),
    [
        ("2.10.3", [], [], ["AIR301", "AIR311", "AIR321"]),
        ("3.0.6", ["AIR301"], ["AIR311"], ["AIR321"]),
        ("3.3.1", ["AIR301"], ["AIR311", "AIR321"], []),
    ],
)
def test_old_names_are_gone_going_or_to_go_by_the_version(
    airflow: str, removed: list[str], deprecated: list[str], later: list[str]
) -> None:
    names = {"a.py": [Remark(f"{code} x", line, "a.py") for line, code in enumerate(("AIR301", "AIR311", "AIR321"), 1)]}
    known = Project(airflow, old_names=names)
    for rule, codes in (("removed-apis", removed), ("deprecated-apis", deprecated), ("next-airflow", later)):
        (verdict,) = [verdict for verdict in judge([DagFile("a.py")], known) if verdict.rule == rule]
        assert [
            code for problem in verdict.problems for code in ("AIR301", "AIR311", "AIR321") if code in problem.what
        ] == codes


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        (
            "AIR301 `a` is removed. Use `b` instead",
            "Airflow 3.0.6 does not have it: AIR301 `a` is removed",
            "Use `b` instead.",
        ),
        (
            "AIR301 `a` is removed",
            "Airflow 3.0.6 does not have it: AIR301 `a` is removed",
            "Use what Airflow's upgrade",
        ),
    ],
)
def test_a_removed_name_is_told_with_what_to_use_instead(text: str, what: str, mend: str) -> None:
    known = Project("3.0.6", old_names={"a.py": [Remark(text, 1, "a.py")]})
    (verdict,) = [verdict for verdict in judge([DagFile("a.py")], known) if verdict.rule == "removed-apis"]
    (problem,) = verdict.problems
    assert problem.what == what
    assert problem.mend.startswith(mend)


def test_a_name_that_a_module_of_the_teams_uses_breaks_every_dag_that_imports_it() -> None:
    names = {"dags/helping.py": [Remark("AIR301 `days_ago` is removed in Airflow 3.0", 4, "dags/helping.py")]}
    files = [DagFile("dags/a.py", own=("dags/helping.py",)), DagFile("dags/b.py")]
    found = [verdict for verdict in judge(files, Project("3.3.1", old_names=names)) if verdict.rule == "removed-apis"]
    assert [[(problem.what, problem.line) for problem in verdict.problems] for verdict in found] == [
        [("Airflow 3.3.1 does not have it: AIR301 `days_ago` is removed in Airflow 3.0 (in dags/helping.py:4)", None)],
        [],
    ]


def test_what_airflow_warns_of_itself_is_told_once_for_a_line() -> None:
    warned = DagFile(
        "a.py", deprecations=(Remark("the `x` attribute is deprecated", 1, "a.py"), Remark("old", 9, "h.py"))
    )
    known = Project("3.3.1", old_names={"a.py": [Remark("AIR311 x is deprecated", 1, "a.py")]})
    (verdict,) = [verdict for verdict in judge([warned], known) if verdict.rule == "deprecated-apis"]
    assert [problem.what for problem in verdict.problems] == ["the `x` attribute is deprecated", "old (in h.py:9)"]


STILL_WORKS = "It still works in Airflow 3.0 but is expected to be removed in a future version"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"AIR311 `airflow.DAG` is removed in Airflow 3.0; {STILL_WORKS}. Moved to `airflow.sdk`.",
            "AIR311 `airflow.DAG` is deprecated. Moved to `airflow.sdk`.",
        ),
        (
            f"AIR312 `a.B` is deprecated and moved into `standard` provider in Airflow 3.0; {STILL_WORKS}",
            "AIR312 `a.B` is deprecated and moved into `standard` provider in Airflow 3.0",
        ),
        ("AIR321 `x` is moved in Airflow 3.1", "AIR321 `x` is moved in Airflow 3.1"),
    ],
)
def test_what_still_works_is_not_called_removed(said: str, told: str) -> None:
    known = Project("3.3.1", old_names={"a.py": [Remark(said, 1, "a.py")]})
    (verdict,) = [each for each in judge([DagFile("a.py", own=("a.py",))], known) if each.rule == "deprecated-apis"]
    assert [problem.what for problem in verdict.problems] == [told]


def test_a_name_that_is_used_in_many_places_is_one_problem_with_all_its_lines() -> None:
    old = [Remark("AIR302 `a.B` is moved. Install b.", line, "a.py") for line in (3, 5, 5, 9)]
    known = Project("3.3.1", old_names={"a.py": [*old, Remark("AIR301 `c` is removed", 5, "a.py")]})
    (verdict,) = [each for each in judge([DagFile("a.py")], known) if each.rule == "removed-apis"]
    assert [(problem.what.partition(": ")[2], problem.mend, problem.line) for problem in verdict.problems] == [
        ("AIR302 `a.B` is moved (also at lines 5, 9)", "Install b.", 3),
        ("AIR301 `c` is removed", "Use what Airflow's upgrade guide names in its place, or do without it.", 5),
    ]


def test_of_a_name_that_airflow_warns_of_where_it_is_imported_its_uses_are_not_told_again() -> None:
    warned = DagFile("a.py", deprecations=(Remark("The `a.task` attribute is deprecated", 1, "a.py"),))
    known = Project(
        "3.3.1", old_names={"a.py": [Remark(f"AIR311 `a.{name}` is old", 7, "a.py") for name in ("task", "x")]}
    )
    (verdict,) = [each for each in judge([warned], known) if each.rule == "deprecated-apis"]
    assert [problem.what for problem in verdict.problems] == [
        "The `a.task` attribute is deprecated",
        "AIR311 `a.x` is old",
    ]


def test_a_warning_of_many_lines_is_told_in_one() -> None:
    warned = DagFile("a.py", deprecations=(Remark("It is deprecated.\n\n    Leave it out.\n", 1, "a.py"),))
    (verdict,) = [each for each in judge([warned], Project("3.0.6")) if each.rule == "deprecated-apis"]
    assert [problem.what for problem in verdict.problems] == ["It is deprecated. Leave it out."]
