"""What a dossier compares: files, DAGs, images, requirements, and what is in flight."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.release import dossier, in_flight
from pipeline.release.dossier import Dossier, Files, ImageChange
from pipeline.release.dossier_page import text
from pipeline.release.dossier_sections import sections
from pipeline.release.evidence import Evidence, Image
from pipeline.release.in_flight import InFlight
from pipeline.release.record import TaskRecord
from pipeline.release.stacks import Change, Compared, Stacks
from pipeline.release.structure import Dag, DagChange, Task
from pipeline.release.tree import gather
from tests.release.fakes import FakeAirflow
from tests.release.test_dossier import FULL
from tests.release.values import ARN, release, write


def test_a_dag_is_changed_when_only_what_it_imports_is(tmp_path: Path) -> None:
    tree = gather(write(tmp_path, {"a.py": "import helper", "helper.py": "1", "b.py": ""}))
    same = {name: Dag(file=f"{name}.py", tasks={"t": Task(operator="O")}) for name in "ab"}
    found = dossier.dags_of(Files(changed=("helper.py",)), tree, release(dags=same), same)
    assert found is not None
    assert found.changed == (DagChange("a", ("same tasks and schedule; helper.py, which it imports, changed",)),)


def test_without_structures_of_both_sides_dags_are_not_compared(tmp_path: Path) -> None:
    tree = gather(write(tmp_path, {"a.py": ""}))
    assert dossier.dags_of(Files(), tree, release(), {}) is None
    assert dossier.dags_of(Files(), tree, release(dags={}), None) is None


def test_images_differ_by_their_tags() -> None:
    running = release(
        tasks={
            name: TaskRecord(task_definition=ARN.format(1), image=f"registry/etl/{name}:old")
            for name in ("a", "b", "became-base", "gone")
        }
    )
    images = (
        Image("a", "old", ""),
        Image("b", "new", "main.py changed", 7),
        Image("base", "x", "", task=False),
        Image("became-base", "x", "", task=False),
        Image("c", "first", "the registry has this content"),
    )
    found = dossier.images_of(Evidence(images=images), running)
    assert found == (
        ImageChange("b", "old", "new", "main.py changed", 7),
        ImageChange("became-base", "old", None, "it is only a base for others now"),
        ImageChange("c", None, "first", "the registry has this content"),  # an execution that was superseded built it
        ImageChange("gone", "old", None, "the container is gone"),
    )
    assert dossier.images_of(Evidence(), running) is None
    first = dossier.images_of(Evidence(images=images), None)
    assert first is not None
    assert [change.container for change in first] == ["a", "b", "c"]


def test_requirements_are_compared_without_comments_and_order() -> None:
    before = b"# why\nb==1  # because\na==1\n"
    assert dossier.requirement_lines(before, b"a==1\nb==1\n") == ()
    assert dossier.requirement_lines(before, b"a==2\nb==1\nc\n") == ("- a==1", "+ a==2", "+ c")


class Running(FakeAirflow):
    """An Airflow with work in flight."""

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        member = "task_instances" if path.endswith("taskInstances") else "dag_runs"
        states = {"dag_runs": {"running": 1, "queued": 9}, "task_instances": {"queued": 1, "running": 3, "deferred": 2}}
        items = [{"dag_id": "orders"}] * states[member].get(query["state"], 0)
        return {member: items, "total_entries": len(items)}


def test_work_in_flight_is_counted_by_dag_with_tasks_that_wait_for_a_container() -> None:
    found = in_flight.observe(Running())
    assert found == InFlight({"orders": 1}, {"orders": 6})
    told = {section.title: section for section in sections(replace(FULL, in_flight=found))}
    assert (told["In flight"].state, told["In flight"].warns) == ("1 DAG run, 6 tasks", True)


def test_parts_that_mwaa_may_have_already_are_not_told_to_replace_workers_for_sure() -> None:
    unsettled = replace(Dossier("dev", "abc", parts={"requirements.txt": "may have changed"}), pinned=True)
    assert unsettled.replaces_workers is None
    assert "; not if it runs with these versions already" in "\n".join(text(unsettled))
    assert replace(unsettled, pinned=False).replaces_workers is True
    by_stacks = Stacks(airflow=Compared((Change("Airflow version", "3.0.6", "3.3.1", replaces_workers=True),)))
    assert replace(unsettled, stacks=by_stacks).replaces_workers is True
