import pytest

from pipeline.dagtest.facts import Dag, DagFile, FailingTemplate, ImportFailure, Task
from pipeline.dagtest.rules import RULES, Verdict, judge

TASKS = frozenset({"ingest", "transform"})
BASES = frozenset({"base"})


def file(*tasks: Task, dag_id: str = "orders", path: str = "dags/orders.py", **facts: object) -> DagFile:
    return DagFile(path, 0.2, dags=(Dag(dag_id, 3, tasks, **facts),))  # type: ignore[arg-type]  # test's shorthand


def of(rule: str, *files: DagFile) -> list[Verdict]:
    return [verdict for verdict in judge(files, TASKS, BASES) if verdict.rule == rule]


def test_a_good_file_passes_every_rule() -> None:
    verdicts = judge([file(Task("ingest", "EcsRunTaskOperator", 5, ("ingest",)))], TASKS, BASES)
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert not any(verdict.problems or verdict.skipped for verdict in verdicts)


def test_a_file_that_is_not_imported_fails_that_rule_and_the_others_are_skipped() -> None:
    failure = ImportFailure("SyntaxError: '(' was never closed", 4, "the traceback")
    verdicts = judge([DagFile("dags/broken.py", 0.1, failure)], TASKS)
    (problem,) = verdicts[0].problems
    assert (problem.what, problem.line, problem.details) == (failure.message, 4, "the traceback")
    assert {verdict.skipped for verdict in verdicts[1:]} == {"the file was not imported"}


def test_a_file_without_a_dag_is_named_as_such_and_does_not_fail() -> None:
    verdicts = judge([DagFile("dags/shared.py")], TASKS)
    assert not any(verdict.problems for verdict in verdicts)
    assert all(".airflowignore" in verdict.skipped for verdict in verdicts[1:])


def test_a_dag_id_in_two_files_is_a_problem_of_both_naming_the_other() -> None:
    first, second, third = of("duplicate-ids", file(), file(path="dags/copy.py"), file(dag_id="x", path="dags/x.py"))
    assert first.problems[0].what == "there is a DAG 'orders' in dags/orders.py, too"
    assert second.problems[0].what == "there is a DAG 'orders' in dags/copy.py, too"
    assert not third.problems


@pytest.mark.parametrize(
    ("containers", "says"),
    [
        (None, ""),
        (("ingest",), ""),
        (("transfrom",), "there is no container 'transfrom'; containers that run as tasks: ingest, transform"),
        (("base",), "the container 'base' is a base of others; containers that run as tasks: ingest, transform"),
        ((), "the task runs a container but overrides none, so it has no command"),
    ],
    ids=["no container task", "a task", "unknown", "a base", "none named"],
)
def test_a_container_task_names_a_container_that_runs_as_a_task(containers: tuple[str, ...] | None, says: str) -> None:
    (verdict,) = of("container-exists", file(Task("t", "EcsRunTaskOperator", 7, containers)))
    assert [problem.what for problem in verdict.problems] == ([says] if says else [])
    assert all((problem.dag, problem.task, problem.line) == ("orders", "t", 7) for problem in verdict.problems)


def test_a_template_that_does_not_render_is_told_with_its_field() -> None:
    failing = FailingTemplate("t", "overrides", "'{{ dss }}': 'dss' is undefined", 7)
    (verdict,) = of("templates-render", file(Task("t", "X"), failing_templates=(failing,)))
    (problem,) = verdict.problems
    assert problem.what == "the template in overrides does not render: '{{ dss }}': 'dss' is undefined"
    assert (problem.dag, problem.task, problem.line) == ("orders", "t", 7)


def test_files_are_reported_in_the_order_of_their_paths() -> None:
    verdicts = judge([file(path="dags/b.py"), file(dag_id="a", path="dags/a.py")], TASKS)
    assert list(dict.fromkeys(verdict.path for verdict in verdicts)) == ["dags/a.py", "dags/b.py"]
