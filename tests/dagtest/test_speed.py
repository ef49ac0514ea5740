"""What is remembered from one file to the next, and what is read ahead, changes no result."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # in Airflow's environment, too
import pytest

from pipeline import settings
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.testing import run_test
from pipeline.dagtest.worker import speed
from pipeline.dagtest.worker.sharing import WORTH_SHARING
from pipeline.process import run as run_command
from tests.dagtest.projects import AIRFLOW, ROOT, make_project

HEAD = """from airflow.sdk import DAG, Param
from airflow.providers.standard.operators.bash import BashOperator
from pendulum import datetime
from shop import Country
"""
SHOP = """from dataclasses import dataclass, field

@dataclass(frozen=True)
class Country:
    name: str
    days: list = field(default_factory=list)
"""
DAG = '{}with DAG("{}", schedule={!r}, start_date=datetime(2026, 1, 1), catchup=False, params={{"x": Param("a")}}):\n'
SCHEDULES = (
    *("@daily", "@daily", "*/15 6-22 * * 1-5", "*/15 6-22 * * 1-5", "0 0 * * 1#2", "0 3 l * *", "0 0 13 * 5"),
    *("30 7 1,15 1-6 sun", "@yearly", "0 0 30 2 *", "61 * * * *", "0 0 1 * *", "r r * * *"),
)
TASKS = {
    "the same text in many tasks": ["{{ params.x.upper() }}", "{{ params.x.upper() }}", "{{ ds }}", "{{ ds }}"],
    "a text that fails in each": ["{{ dss }}", "{{ dss }}"],
    "of the task": [*["{{ 1 // task.retries }}"] * 2, *["{{ task.task_id }}{{ [1][task.task_id == 't3'] + 1 }}"] * 2],
    "with other parameters": ["{{ params.x.upper() }}", "{{ params.x.upper() }}"],
}


def file(number: int, schedule: str) -> str:
    """A file whose tasks differ in what they may, so that a template renders in one task and not in another."""
    kind = list(TASKS)[number % len(TASKS)]
    lines = [DAG.format(HEAD, f"dag{number}", schedule)]
    for place, text in enumerate(TASKS[kind]):
        more = {"of the task": f"retries={place}", "with other parameters": f"params={{'x': {['b', 5][place % 2]!r}}}"}
        lines.append(f"    BashOperator(task_id='t{place}', bash_command={text!r}, {more.get(kind, '')})\n")
    return "".join(lines) + f"COUNTRY = Country('c{number}')\n"


def test_a_file_among_many_has_the_result_that_it_has_by_itself(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        {"shop.py": SHOP, **{f"dag{number}.py": file(number, each) for number, each in enumerate(SCHEDULES)}},
    )
    assert len(SCHEDULES) >= WORTH_SHARING
    environment, configured = ensure(ROOT, AIRFLOW), settings.load(project)

    def found(*paths: Path) -> dict[str, DagFile]:
        files = run_test(environment, project, configured, paths, again=True).files
        return {each.path: replace(each, seconds=0.0) for each in files}

    together = found()
    alone: dict[str, DagFile] = {}
    for number in range(len(SCHEDULES)):
        alone |= found(project / "dags" / f"dag{number}.py")
    assert together == alone
    failing = {
        path: [each.task_id for dag in file.dags for each in dag.failing_templates] for path, file in alone.items()
    }
    assert failing["dags/dag4.py"] == []
    assert failing["dags/dag5.py"] == ["t0", "t1"]
    assert failing["dags/dag6.py"] == ["t0", "t3"]
    assert failing["dags/dag3.py"] == ["t1"]


STORED = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from pipeline.dagtest.worker import speed

folder = Path(sys.argv[1])

def document(dag):
    try:
        return DagSerialization.to_dict(dag)
    except Exception as error:
        return repr(error)

def stored():
    found = {}
    for file in sorted(folder.rglob("*.py")):
        for dag in DagBag(str(file), load_op_links=False, bundle_path=folder, bundle_name="dags").dags.values():
            params = {task.task_id: task.params.dump() for task in dag.tasks}
            upstream = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
            found[dag.dag_id] = json.dumps([document(dag), params, upstream], sort_keys=True)
    return found

once, again = stored(), stored()
speed.ask_once()
now = stored()
steady = [name for name in once if once[name] == again[name]]
others = [name for name in steady if now[name] != once[name]]
print(json.dumps({"dags": len(once), "steady": len(steady), "others": others}))
"""


def test_airflow_stores_its_own_examples_as_it_does_without_our_help(tmp_path: Path) -> None:
    environment = ensure(ROOT, AIRFLOW)
    (packages,) = environment.folder.glob("lib/python*/site-packages/airflow")
    variables = {**environment.variables(tmp_path, "eu-west-1"), "PYTHONPATH": str(ROOT)}
    command = [*environment.alone(variables), str(environment.python), "-c", STORED, str(packages / "example_dags")]
    found = json.loads(run_command(command).splitlines()[-1])
    assert found["dags"] > 40
    assert found["steady"] > 0.9 * found["dags"]
    assert found["others"] == []


def own_checker() -> Any:
    """A team's, which knows one format more."""
    checker = jsonschema.FormatChecker()
    checker.checks("even")(lambda value: value % 2 == 0)
    return checker


@pytest.mark.parametrize(
    ("good", "bad", "schema"),
    [
        (1, True, {"type": "integer"}),
        (1, 1.5, {"type": "integer"}),
        ([1], (1,), {"type": "array"}),
        ("2026-01-02", "2026-13-02", {"format": "date"}),
        (3, "3", {"enum": [3]}),
    ],
)
def test_a_value_that_was_good_once_makes_no_other_one_good(
    monkeypatch: pytest.MonkeyPatch, good: Any, bad: Any, schema: dict[str, Any]
) -> None:
    monkeypatch.setattr(jsonschema, "validate", jsonschema.validate)  # put back afterwards
    speed._check_values_once()
    for _ in range(2):
        jsonschema.validate(good, schema, format_checker=jsonschema.FormatChecker())
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize(
    ("good", "bad", "schema"),
    [
        (1, True, {"type": "integer"}),
        (1, 1.5, {"type": "integer"}),
        (None, "None", {"type": "null"}),
        ("a", ["a"], {"type": "string"}),
        (3, "3", {"enum": [3]}),
    ],
)
def test_a_scalar_that_was_good_once_makes_no_other_value_and_no_other_schema_good(
    monkeypatch: pytest.MonkeyPatch, good: Any, bad: Any, schema: dict[str, Any]
) -> None:
    validator = jsonschema.Draft7Validator
    monkeypatch.setattr(validator, "descend", validator.descend)  # put back afterwards
    speed._check_scalars_once()
    whole = validator({"properties": {"a": schema, "b": {"not": schema}}})
    for _ in range(2):
        whole.validate({"a": good, "b": bad})
        for wrong in ({"a": bad}, {"b": good}):
            with pytest.raises(jsonschema.ValidationError):
                whole.validate(wrong)


def test_a_scalar_that_one_schema_takes_is_asked_about_anew_with_a_checker_of_formats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validator = jsonschema.Draft7Validator
    monkeypatch.setattr(validator, "descend", validator.descend)  # put back afterwards
    speed._check_scalars_once()
    schema = {"properties": {"a": {"format": "even"}}}
    validator(schema).validate({"a": 3})
    with pytest.raises(jsonschema.ValidationError):
        validator(schema, format_checker=own_checker()).validate({"a": 3})


def test_what_is_good_for_one_checker_is_not_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonschema, "validate", jsonschema.validate)  # put back afterwards
    speed._check_values_once()
    jsonschema.validate(3, {"format": "even"}, format_checker=jsonschema.FormatChecker())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(3, {"format": "even"}, format_checker=own_checker())


def test_a_value_is_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(jsonschema, "validate", lambda instance, *_, **__: asked.append(instance))
    speed._check_values_once()
    for value in (1, "a", None, 1, "a", None, [1], [1]):
        jsonschema.validate(value, {}, format_checker=jsonschema.FormatChecker())
    assert asked == [1, "a", None, [1], [1]]
