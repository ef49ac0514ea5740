"""The examples of tasks on other platforms than Fargate."""

from pathlib import Path

DAGS = Path(__file__).resolve().parents[2] / "dags"


def test_the_glue_job_is_a_python_shell_job_that_holds_no_worker(dags):
    task = dags["example_glue_job"].get_task("table_size")
    command = task.create_job_kwargs["Command"]
    assert command["Name"] == "pythonshell"
    assert command["ScriptLocation"].endswith("artifacts/glue-scripts/table_size.py")
    assert Path(task.script_location) == DAGS / "examples/table_size.py"
    assert task.deferrable


def test_examples_run_by_hand_only(dags):
    examples = [dag for dag in dags.values() if "example" in dag.tags]
    assert examples
    assert all(type(dag.timetable).__name__ == "NullTimetable" for dag in examples)
