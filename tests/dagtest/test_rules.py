"""The rules, row by row of their tables."""

from typing import Any

import pytest

from pipeline.dagtest.facts import (
    Cycle,
    Dag,
    DagFile,
    Event,
    FailingTemplate,
    ImportFailure,
    Overrides,
    Remark,
    Schedule,
    Task,
)
from pipeline.dagtest.rules import RULES, Project, Verdict, denied, judge, levels
from pipeline.errors import UsageError
from pipeline.settings import DagTests

ON = {"owners": "deny", "tags": "deny", "retries": "deny", "off-workers": "deny"}


def project(**demands: Any) -> Project:
    return Project(
        "3.0.6",
        frozenset({"ingest", "transform"}),
        frozenset({"base"}),
        DagTests(**{"rules": ON, **demands}),
    )


def task(task_id: str = "t", **facts: Any) -> Task:
    return Task(task_id, "X", 7, **{"owner": "shop", "retries": 1, **facts})


def file(*tasks: Task, dag_id: str = "orders", path: str = "dags/orders.py", **facts: Any) -> DagFile:
    return DagFile(path, 0.2, dags=(Dag(dag_id, 3, tasks, **{"tags": ("orders",), **facts}),))


def container(entry: Any) -> Task:
    return task(overrides=Overrides({"containerOverrides": [entry]}))


def verdicts_of(rule: str, *files: DagFile, **demands: Any) -> list[Verdict]:
    return [verdict for verdict in judge(files, project(**demands)) if verdict.rule == rule]


def says(rule: str, found: DagFile, **demands: Any) -> list[str]:
    (verdict,) = verdicts_of(rule, found, **demands)
    return [problem.what for problem in verdict.problems]


def test_a_good_file_passes_every_rule() -> None:
    verdicts = judge([file(container({"name": "ingest", "command": ["x"]}))], project())
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert not any(verdict.problems or verdict.skipped for verdict in verdicts)


def test_a_file_that_is_not_imported_fails_that_rule_and_rules_about_dags_are_skipped() -> None:
    failure = ImportFailure("SyntaxError: '(' was never closed", 4, "the traceback")
    verdicts = {verdict.rule: verdict for verdict in judge([DagFile("dags/broken.py", 0.1, failure)], project())}
    (problem,) = verdicts["imports"].problems
    assert (problem.what, problem.line, problem.details) == (failure.message, 4, "the traceback")
    assert verdicts["schedules"].skipped == "the file was not imported"
    assert not verdicts["no-network"].skipped


def test_an_import_that_a_rule_stopped_is_told_by_that_rule_alone() -> None:
    stopped = DagFile(
        "dags/a.py",
        failure=ImportFailure("AccessWhileParsing: ...", 2, is_denied=True),
        events=(Event("network", "x", 2),),
    )
    verdicts = {verdict.rule: verdict for verdict in judge([stopped], project())}
    assert verdicts["imports"].skipped
    assert not verdicts["imports"].problems
    assert verdicts["no-network"].fails


@pytest.mark.parametrize("demands", [{"rules": {"no-writes": "off"}}, {"exceptions": {"no-writes": ["dags/*"]}}])
def test_an_import_that_was_stopped_is_told_by_itself_when_no_other_rule_tells(demands: dict[str, Any]) -> None:
    failure = ImportFailure("AccessWhileParsing: remove dags", 2, is_denied=True)
    stopped = DagFile("dags/a.py", failure=failure, events=(Event("files", "remove dags", 2),))
    (verdict,) = verdicts_of("imports", stopped, **demands)
    assert verdict.fails
    assert not says("no-writes", stopped, **demands) if "exceptions" in demands else True


@pytest.mark.parametrize(
    ("rules", "exceptions", "expected"),
    [
        ({}, {}, {"network": (), "files": ()}),
        ({"no-network": "warn"}, {}, {"files": ()}),
        ({"no-network": "off", "no-writes": "off"}, {}, {"files": ()}),
        ({}, {"no-network": ("dags/a.py",), "no-writes": ("dags/a.py",)}, {"network": ("dags/a.py",), "files": ()}),
    ],
)
def test_an_access_is_prevented_where_its_rule_denies_it_and_writing_always(
    rules: dict[str, Any], exceptions: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = denied(rules, exceptions)
    assert {kind: found[kind] for kind in ("network", "files") if kind in found} == expected


def test_a_file_without_a_dag_is_named_as_such_and_does_not_fail() -> None:
    verdicts = judge([DagFile("dags/shared.py")], project())
    assert not any(verdict.problems for verdict in verdicts)
    assert all(".airflowignore" in verdict.skipped for verdict in verdicts if RULES[verdict.rule].needs_dags)


def test_a_level_decides_whether_a_problem_fails_or_is_looked_for_at_all() -> None:
    noisy = DagFile("dags/a.py", printed=1_000_000)
    for level, fails, found in (("deny", True, 1), ("warn", False, 1), ("off", False, 0)):
        verdicts = verdicts_of("output", noisy, rules={"output": level})
        assert [verdict.fails for verdict in verdicts] == [fails] * found
        assert [len(verdict.problems) for verdict in verdicts] == [1] * found


def test_an_exception_leaves_a_file_out_of_a_rule_and_says_so() -> None:
    (verdict,) = verdicts_of("output", DagFile("dags/old/a.py", printed=9**9), exceptions={"output": ("dags/old/*",)})
    assert not verdict.problems
    assert "exception" in verdict.skipped


def test_settings_that_name_a_rule_that_does_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no rule 'no-netwrok'; there are: imports, .*no-network"):
        levels({"no-netwrok": "deny"}, {})


@pytest.mark.parametrize(
    ("rule", "found", "expected"),
    [
        ("parse-time", DagFile("a.py", 11.0), ["importing it took 11.0 s; the budget is 10 s"]),
        ("parse-time", DagFile("a.py", 9.0), []),
        ("parse-time", DagFile("a.py", 30.0, ImportFailure("it did not end")), []),
        (
            "output",
            DagFile("a.py", printed=100_001),
            ["it printed 100,001 bytes while it was parsed; 100,000 are allowed"],
        ),
        ("output", DagFile("a.py", printed=100_000), []),
        (
            "no-network",
            DagFile("a.py", events=(Event("network", "connect to db:1", 3),)),
            ["connect to db:1, while the file is parsed"],
        ),
        ("no-database", DagFile("a.py", events=(Event("network", "connect to db:1", 3),)), []),
        (
            "no-variables",
            DagFile("a.py", events=(Event("variables", "get", 3, "h.py:4"),)),
            ["get, in h.py:4, while the file is parsed"],
        ),
        (
            "modules",
            DagFile("a.py", missing=(Remark("x", 3, "a.py"),)),
            ["the module 'x' is neither in MWAA's image nor from dags/requirements.txt"],
        ),
        (
            "modules",
            DagFile("a.py", missing=(Remark("x", 3, "b.py"),)),
            ["the module 'x' is neither in MWAA's image nor from dags/requirements.txt, in b.py:3"],
        ),
        (
            "cycles",
            DagFile("a.py", failure=ImportFailure("cycle"), cycles=(Cycle("d", ("a", "b", "a")),)),
            ["tasks wait for each other: a → b → a"],
        ),
    ],
)
def test_what_happens_while_a_file_is_parsed(rule: str, found: DagFile, expected: list[str]) -> None:
    assert says(rule, found) == expected


@pytest.mark.parametrize(
    ("schedule", "about_schedule", "about_start"),
    [
        (Schedule("NullTimetable", is_automatic=False, has_next=False, is_moving=True), "", ""),
        (Schedule("CronTriggerTimetable"), "", ""),
        (Schedule("CronTriggerTimetable", error="X: bad"), "its next run cannot be computed: X: bad", ""),
        (Schedule("X", has_next=False, has_ended=True), "", ""),
        (Schedule("X", has_next=False), "its schedule (X) never starts a run: it has no start date", ""),
        (Schedule("X", has_next=False, start="S"), "its schedule (X) never starts a run: with the start date S", ""),
        (Schedule("X", is_moving=True), "", "its start date is made of the time"),
    ],
)
def test_when_a_dag_runs(schedule: Schedule, about_schedule: str, about_start: str) -> None:
    found = file(schedule=schedule)
    assert says("schedules", found) == ([about_schedule] if about_schedule else [])
    assert [what[: len(about_start)] for what in says("start-dates", found)] == ([about_start] if about_start else [])


def test_a_dag_id_in_two_files_is_a_problem_of_both_naming_the_other() -> None:
    files = (file(), file(path="dags/copy.py"), file(dag_id="x", path="dags/x.py"))
    copy, orders, other = verdicts_of("duplicate-ids", *files)
    assert orders.problems[0].what == "there is a DAG 'orders' in dags/copy.py, too"
    assert copy.problems[0].what == "there is a DAG 'orders' in dags/orders.py, too"
    assert not other.problems


@pytest.mark.parametrize(
    ("rule", "found", "demands", "wrong"),
    [
        ("owners", file(task(owner="airflow")), {}, True),
        ("owners", file(task(owner="anybody")), {}, False),
        ("owners", file(task(owner="anybody")), {"owners": ("shop-*",)}, True),
        ("owners", file(task(owner="shop-data")), {"owners": ("shop-*",)}, False),
        ("tags", file(tags=()), {}, True),
        ("tags", file(tags=("any",)), {}, False),
        ("tags", file(tags=("any", "orders")), {"tags": ("orders",)}, True),
        ("tags", file(tags=("orders",)), {"tags": ("orders",)}, False),
        ("retries", file(task(retries=0)), {}, True),
        ("retries", file(task(retries=1)), {}, False),
        ("retries", file(task(retries=1)), {"retries": 2}, True),
    ],
)
def test_what_the_team_demands_of_every_dag(rule: str, found: DagFile, demands: dict[str, Any], wrong: bool) -> None:
    assert bool(says(rule, found, **demands)) == wrong


@pytest.mark.parametrize(
    ("bases", "on_workers", "wrong"),
    [
        (("EcsRunTaskOperator", "BaseOperator"), (), False),
        (("PythonOperator", "BaseOperator"), (), True),
        (("_PythonDecoratedOperator", "DecoratedOperator", "PythonOperator"), (), True),
        (("BashOperator",), (), True),
        (("_BranchPythonDecoratedOperator", "BranchPythonOperator", "PythonOperator"), (), False),
        (("ShortCircuitOperator", "PythonOperator"), (), False),
        (("BashOperator",), ("orders.t",), False),
        (("BashOperator",), ("*.other",), True),
    ],
)
def test_work_is_kept_off_the_workers(bases: tuple[str, ...], on_workers: tuple[str, ...], wrong: bool) -> None:
    assert bool(says("off-workers", file(task(bases=bases)), on_workers=on_workers)) == wrong


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (None, ""),
        (Overrides({"containerOverrides": [{"name": "ingest"}]}), ""),
        (
            Overrides({"containerOverrides": [{"name": "transfrom"}]}),
            "there is no container 'transfrom'; containers that run as tasks: ingest, transform",
        ),
        (
            Overrides({"containerOverrides": [{"name": "base"}]}),
            "the container 'base' is a base of others; containers that run as tasks: ingest, transform",
        ),
        (Overrides({}), "the task names no container and no command: what it runs is left to its task definition"),
        (Overrides("text"), "the task names no container and no command: what it runs is left to its task definition"),
        (Overrides({"containerOverrides": [{"name": {"later": "XComArg"}}]}), ""),
        (Overrides({"containerOverrides": [{"name": "{{ ti.xcom_pull('which') }}-task"}]}), ""),
        (Overrides({"containerOverrides": {"later": "XComArg"}}), ""),
        (Overrides({"later": "XComArg"}), ""),
        (Overrides(is_known=False), ""),
    ],
    ids=[
        "no container task",
        "a task",
        "unknown",
        "a base",
        "none named",
        "no mapping",
        "name later",
        "name rendered",
        "later",
        "all later",
        "mapped",
    ],
)
def test_a_container_task_names_a_container_that_runs_as_a_task(overrides: Overrides | None, expected: str) -> None:
    assert says("container-exists", file(task(overrides=overrides))) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"command": ["a", "{{ ds }}"]}, ""),
        ({"command": ["a", {"later": "XComArg"}]}, ""),
        ({"command": {"later": "XComArg"}}, ""),
        ({"command": "a b"}, "its command is the text 'a b'"),
        ({"command": []}, "it overrides no command"),
        ({}, "it overrides no command"),
        ({"command": ["a", 1]}, "its command holds what is no text: [1]"),
        ({"command": ["a"], "environment": [{"name": "A", "value": "b"}]}, ""),
        ({"command": ["a"], "environment": {"A": "b"}}, "its environment is {'A': 'b'}"),
        (
            {"command": ["a"], "environment": [{"name": "A", "value": 1}]},
            "its environment is [{'name': 'A', 'value': 1}]",
        ),
        ({"command": ["a"], "cpu": 256}, ""),
        ({"command": ["a"], "cpu": "256"}, "its cpu is '256'"),
        ({"command": ["a"], "entrypoint": ["b"]}, "ECS knows no override 'entrypoint'"),
        ("text", "an entry of containerOverrides is 'text'"),
    ],
)
def test_what_a_container_task_overrides_has_the_shape_that_ecs_takes(entry: Any, expected: str) -> None:
    found = container({"name": "ingest", **entry} if isinstance(entry, dict) else entry)
    assert says("container-command", file(found)) == ([expected] if expected else [])


def test_a_template_that_does_not_render_is_told_with_its_field() -> None:
    failing = FailingTemplate("t", "overrides", "'{{ dss }}': 'dss' is undefined", 7)
    (verdict,) = verdicts_of("templates-render", file(task(), failing_templates=(failing,)))
    (problem,) = verdict.problems
    assert problem.what == "the template in overrides does not render: '{{ dss }}': 'dss' is undefined"
    assert (problem.dag, problem.task, problem.line) == ("orders", "t", 7)


@pytest.mark.parametrize(
    ("message", "mend"),
    [
        ("SyntaxError: invalid syntax", "Correct the syntax at this line"),
        ("ImportError: cannot import name 'x' from 'airflow'", "Import the name from the module that has it"),
        ("importing it did not end within 30 s", "Leave slow work to a task"),
        ("importing it ended its process with code 3", "Take the line out"),
        ("the DAG a cannot be stored: E: Timetable class 'x.T' is not registered or you", "module in plugins/"),
        ("AirflowTimetableInvalid: Timetable", "Correct the schedule"),
        (
            "it is not UTF-8: Airflow passes over it, and says nothing",
            "None of the file's DAGs would be there. Save it",
        ),
        ("KeyError: 'x'", "Correct what raises it."),
    ],
)
def test_an_import_error_is_told_with_what_to_do(message: str, mend: str) -> None:
    (verdict,) = verdicts_of("imports", DagFile("a.py", failure=ImportFailure(message)))
    assert mend in verdict.problems[0].mend


def test_two_dags_of_one_id_in_a_file_are_told_with_the_others_line() -> None:
    assert says("duplicate-ids", file(twins=(9,))) == [
        "there is another DAG 'orders' in this file, at line 9: Airflow takes one of them and says nothing"
    ]


def test_files_are_reported_in_the_order_of_their_paths() -> None:
    verdicts = judge([file(path="dags/b.py"), file(dag_id="a", path="dags/a.py")], project())
    assert list(dict.fromkeys(verdict.path for verdict in verdicts)) == ["dags/a.py", "dags/b.py"]


def test_a_function_that_makes_a_dag_is_to_be_called_unless_another_file_may_call_it() -> None:
    alone = DagFile("dags/a.py", own=("dags/a.py",), uncalled={"orders": 4})
    (problem,) = verdicts_of("uncalled-dags", alone)[0].problems
    assert (problem.line, problem.mend) == (4, "End the file with a call: orders()")
    assert problem.what.startswith("nothing calls orders(), which is decorated with @dag")
    assert not verdicts_of("uncalled-dags", alone)[0].fails
    of_both = verdicts_of("uncalled-dags", alone, DagFile("dags/b.py", own=("dags/a.py", "dags/b.py")))
    assert [verdict.problems for verdict in of_both] == [(), ()]


def test_default_arguments_that_no_operator_takes_are_told_with_what_may_be_meant() -> None:
    (verdict,) = verdicts_of(
        "default-args", file(task(), unused_arguments={"reties": "retries", "catchup": "DAG", "team": ""})
    )
    assert [(problem.line, problem.dag, problem.mend) for problem in verdict.problems] == [
        (3, "orders", "Did you mean 'retries'?"),
        (3, "orders", "Give it to the DAG itself: DAG(..., catchup=...)."),
        (3, "orders", "Take it out."),
    ]
    assert "'reties', which none of its operators takes" in verdict.problems[0].what
    assert not verdict.fails
