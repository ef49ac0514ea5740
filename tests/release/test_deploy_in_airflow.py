"""Deploying to an Airflow that is asked: proven there, taken back when it fails. S3 is moto's, the rest are fakes."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest

from pipeline.errors import LockedError, PipelineError
from pipeline.release import deploy, lock, structure
from pipeline.release.airflow import AirflowUnreachableError, MwaaAirflow
from pipeline.release.deploy import Origin
from pipeline.release.mwaa import Replacement
from pipeline.release.pointer import POINTER_KEY
from pipeline.release.record import PartName
from pipeline.release.structure import Structures
from pipeline.release.verify import Patience
from tests.release.conftest import Aws, Sent
from tests.release.fakes import FakeAirflow
from tests.release.values import ORIGIN, deployment, write
from tests.release.world import World, broken, watching

DAG = "from airflow.sdk import DAG\nversion = {}\n"


def test_a_release_that_airflow_took_over_is_verified(world: World) -> None:
    world.airflow = watching(world)
    assert world.sync({"a.py": DAG.format(1), "b.py": DAG.format(1)}).verified
    assert world.sync({"a.py": DAG.format(2), "b.py": None}).verified
    assert world.roll_back().verified


def test_a_release_that_airflow_cannot_import_is_taken_back(world: World) -> None:
    world.airflow = watching(world, broken)
    first = world.sync({"a.py": DAG.format(1), "b.py": DAG.format(1), "requirements.txt": "pandas"})
    with pytest.raises(PipelineError) as error:
        world.sync({"a.py": DAG.format("broken"), "b.py": None, "c.py": DAG.format(1), "requirements.txt": "polars"})
    assert "a.py has an import error" in error.value.what
    assert "SyntaxError: broken" in error.value.what
    assert error.value.mend == (
        f"Release {first.id} was restored: 2 files put back, 1 deleted, MWAA given its requirements.txt. "
        "Correct the DAG and push again."
    )
    said = "\n".join(world.said)
    assert said.index(f"restoring {first.id}") < said.index("MWAA gets requirements.txt back")
    assert world.contents() == {"dags/a.py": DAG.format(1), "dags/b.py": DAG.format(1)}
    assert world.mwaa.pinned["requirements"] == first.parts["requirements"].version
    assert world.current() == first
    assert lock.read(world.bucket).pointer.lock is None
    write(world.folder, {"a.py": DAG.format(3)})
    assert world.sync().verified


def test_requirements_that_pip_cannot_install_fail_the_release_and_are_taken_back(world: World) -> None:
    first = world.sync({"a.py": "1", "requirements.txt": "pandas"})
    good = first.parts["requirements"].version
    world.mwaa.pip = lambda version: [] if version == good else ["ERROR: No matching distribution found for nonsense"]
    with pytest.raises(PipelineError) as error:
        world.sync({"a.py": "2", "requirements.txt": "nonsense"})
    assert "pip could not install requirements.txt" in error.value.what
    assert "No matching distribution found for nonsense" in error.value.what
    assert f"Release {first.id} was restored" in error.value.mend
    assert error.value.mend.endswith("MWAA given its requirements.txt. Correct requirements.txt and push again.")
    assert world.contents() == {"dags/a.py": "1"}, "no DAG was published"
    assert world.mwaa.pinned["requirements"] == first.parts["requirements"].version
    assert world.current() == first


def test_a_rollback_brings_the_files_back_before_it_waits_for_workers(world: World) -> None:
    first = world.sync({"a.py": "1", "requirements.txt": "pandas"})
    second = world.sync({"a.py": "2", "requirements.txt": "polars"})
    held: list[str] = []
    pin = world.mwaa.pin

    def noting(versions: Mapping[PartName, str], replacement: Replacement) -> None:
        held.append(world.contents()["dags/a.py"])
        pin(versions, replacement)

    world.mwaa.pin = noting  # type: ignore[method-assign]
    world.roll_back()
    world.roll_back(second.id)
    assert held == ["1", "1"], "files first on the way back, requirements first on the way forward"
    assert f"the DAG files are those of {first.id}" in world.said


def test_a_rollback_whose_requirements_pip_cannot_install_puts_the_files_forward_again(world: World) -> None:
    first = world.sync({"a.py": "import h  # 1", "h.py": "1", "requirements.txt": "pandas"})
    second = world.sync({"a.py": "import h  # 2", "h.py": "2", "requirements.txt": "polars"})
    gone = first.parts["requirements"].version
    world.mwaa.pip = lambda version: ["ERROR: pandas was yanked"] if version == gone else []
    with pytest.raises(PipelineError, match="yanked") as error:
        world.roll_back()
    assert f"Release {second.id} was restored: 2 files put back" in error.value.mend
    assert world.contents() == {"dags/a.py": "import h  # 2", "dags/h.py": "2"}
    assert world.mwaa.pinned["requirements"] == second.parts["requirements"].version
    assert lock.read(world.bucket).pointer.restores is None


def test_a_rollback_that_mwaa_refuses_has_brought_the_files_back_and_can_be_run_again(world: World) -> None:
    first = world.sync({"a.py": "1", "requirements.txt": "pandas"})
    world.sync({"a.py": "2", "requirements.txt": "polars"})
    world.mwaa.status = "UPDATING"
    with pytest.raises(PipelineError, match="is UPDATING"):
        world.roll_back(first.id)
    assert world.contents() == {"dags/a.py": "1"}
    world.mwaa.status = "AVAILABLE"
    assert world.roll_back(first.id).restores == first.id
    assert world.mwaa.pinned["requirements"] == first.parts["requirements"].version


def test_when_mwaa_refuses_requirements_it_is_said_that_no_dag_file_was_published(world: World) -> None:
    world.sync({"a.py": "1"})
    world.mwaa.fails_with = "no such version"
    with pytest.raises(PipelineError, match="no such version") as error:
        world.sync({"a.py": "2", "requirements.txt": "pandas"})
    assert error.value.mend.startswith("No DAG file was published. Correct requirements.txt")
    assert world.contents() == {"dags/a.py": "1"}


def test_requirements_that_are_new_and_bad_leave_an_empty_one(world: World) -> None:
    world.sync({"a.py": "1"})

    def pip(version: str) -> list[str]:
        stored = world.bucket.get("requirements.txt", version)
        return ["ERROR: no"] if stored and stored.content else []

    world.mwaa.pip = pip
    with pytest.raises(PipelineError, match="pip could not install"):
        world.sync({"requirements.txt": "nonsense"})
    stored = world.bucket.get("requirements.txt", world.mwaa.pinned["requirements"])
    assert stored is not None
    assert stored.content == b""


def test_a_pip_log_that_cannot_be_read_is_told_and_stops_nothing(world: World) -> None:
    def unreadable(_: str) -> list[str]:
        raise PipelineError("the pip log cannot be read")

    world.mwaa.pip = unreadable
    world.sync({"a.py": "1", "requirements.txt": "pandas"})
    assert any("whether pip installed the requirements is not known" in line for line in world.said)


def test_a_canary_that_fails_takes_the_release_back(world: World) -> None:
    world.airflow = watching(world)
    world.canary = "smoke"
    first = world.sync({"smoke.py": DAG.format(1)})
    assert first.verified
    world.airflow.run_states = ["failed"]
    with pytest.raises(PipelineError, match="failed, in smoke") as error:
        world.sync({"smoke.py": DAG.format(2)})
    assert f"Release {first.id} was restored" in error.value.mend
    assert world.contents() == {"dags/smoke.py": DAG.format(1)}


def test_a_canary_that_is_paused_stops_the_release_before_anything_is_written(aws: Aws, world: World) -> None:
    world.sync({"smoke.py": DAG.format(1)})
    world.canary = "smoke"
    world.airflow = FakeAirflow()
    world.airflow.parse("smoke.py", "", "smoke")
    world.airflow.dags["smoke"]["is_paused"] = True
    aws.forget()
    with pytest.raises(PipelineError, match="is paused"):
        world.sync({"smoke.py": DAG.format(2)})
    assert aws.writes() == []


def test_a_canary_that_does_not_come_with_a_release_says_how_to_mend_that(world: World) -> None:
    world.airflow = watching(world)
    world.sync({"a.py": DAG.format(1)})
    world.canary = "smoke"
    with pytest.raises(PipelineError, match="no such DAG") as error:
        world.sync({"a.py": DAG.format(2)})
    assert error.value.mend.endswith("0 deleted. Correct `canary` of the environment in cdk.json.")


def test_a_rollback_to_before_there_was_a_canary_does_without(world: World) -> None:
    world.airflow = watching(world)
    first = world.sync({"a.py": DAG.format(1)})
    world.sync({"smoke.py": DAG.format(1)})
    world.canary = "smoke"
    world.sync({"a.py": DAG.format(2)})
    assert world.roll_back(first.id).verified
    assert world.contents() == {"dags/a.py": DAG.format(1)}
    assert "remark: Airflow has no DAG smoke any more, so no canary runs" in world.said


@pytest.mark.parametrize("back", [False, True], ids=["sync", "rollback"])
def test_where_the_dags_are_known_a_canary_that_goes_is_known_before_anything_is_written(
    aws: Aws, world: World, back: bool
) -> None:
    world.airflow = watching(world)
    write(world.folder, {"a.py": DAG.format(1)})
    first = world.sync(origin=as_tested(world))
    write(world.folder, {"smoke.py": DAG.format(1)})
    world.sync(origin=as_tested(world))
    world.canary = "smoke"
    aws.forget()
    if back:
        assert world.roll_back(first.id).verified
        assert f"remark: {first.id} has no DAG smoke, so no canary runs" in world.said
        return
    write(world.folder, {"smoke.py": "nothing = 'left'\n"})
    with pytest.raises(PipelineError, match="this release takes the DAG away"):
        world.sync(origin=as_tested(world))
    assert aws.writes() == []


def as_tested(world: World) -> Origin:
    """What the tests of the DAGs found: a DAG in every file that says so."""
    contents = {path.name: path.read_bytes() for path in world.folder.iterdir()}
    files = {name: sha256(content).hexdigest() for name, content in contents.items()}
    dags = {name.removesuffix(".py"): structure.Dag(file=name) for name, text in contents.items() if b"DAG" in text}
    return replace(ORIGIN, structures=Structures(files=files, dags={"dev": dags}))


def test_a_file_that_defines_no_dag_in_this_environment_fails_no_release(world: World) -> None:
    world.patience = Patience()
    world.airflow = watching(world)
    parse = world.airflow.each_look

    def look(airflow: FakeAirflow) -> None:
        parse(airflow)
        airflow.remove("dev_only.py")

    world.airflow.each_look = look
    write(world.folder, {"a.py": DAG.format(1), "dev_only.py": DAG.format(1)})
    assert world.sync(origin=as_tested(world)).verified
    assert any(line.startswith("remark: no DAG of dev_only.py has appeared within 600 s") for line in world.said)


def test_a_lock_that_is_lost_while_requirements_are_uploaded_replaces_no_worker(aws: Aws, world: World) -> None:
    world.sync({"a.py": "1"})

    def taken_over(sent: Sent) -> None:
        if sent.method == "PUT" and sent.path.endswith("requirements.txt"):
            world.put_by_hand(POINTER_KEY, '{"format": 1, "release": null, "serial": 99, "lock": null}')

    aws.after = taken_over
    with pytest.raises(LockedError, match="taken over"):
        world.sync({"requirements.txt": "polars"})
    assert world.mwaa.calls == []


def test_going_back_to_what_mwaa_restored_itself_replaces_no_worker(world: World) -> None:
    first = world.sync({"a.py": "1", "requirements.txt": "pandas"})
    world.mwaa.fails_with = "INTERNAL: no"
    with pytest.raises(PipelineError, match="INTERNAL: no"):
        world.sync({"requirements.txt": "polars"})
    assert world.sync({"requirements.txt": "pandas"}).parts == first.parts
    assert len(world.mwaa.calls) == 2


def test_runs_in_flight_end_before_other_images_come(world: World) -> None:
    world.sync({"a.py": DAG.format(1)})
    world.airflow = watching(world)
    world.wait_for_runs = 60
    world.airflow.runs, world.airflow.run_states = [{"dag_id": "a"}], ["running", "running", "success"]
    in_bucket: list[str] = []
    parse = world.airflow.each_look

    def look(airflow: FakeAirflow) -> None:
        in_bucket.append(world.contents()["dags/a.py"])
        parse(airflow)

    world.airflow.each_look = look
    world.revision = 2
    world.sync({"a.py": DAG.format(2)})
    assert world.airflow.runs == [{"dag_id": "a", "state": "success"}]
    assert any("runs in flight end in the images they began with" in line for line in world.said)
    assert (in_bucket[0], in_bucket[-1]) == (DAG.format(1), DAG.format(2))


def test_a_release_of_the_same_images_waits_for_no_run(world: World) -> None:
    world.sync({"a.py": DAG.format(1)})
    world.airflow = watching(world)
    world.wait_for_runs = 60
    world.airflow.runs, world.airflow.run_states = [{"dag_id": "a"}], ["running"]
    world.sync({"a.py": DAG.format(2)})
    assert world.airflow.runs == [{"dag_id": "a"}]


def test_an_airflow_that_cannot_be_asked_stops_the_release_before_anything_is_written(aws: Aws, world: World) -> None:
    world.sync({"a.py": "1"})
    # moto has no MWAA: whatever it answers is no answer of Airflow's.
    environment = replace(world.environment, airflow=MwaaAirflow(aws.session(), "etl-dev"))
    write(world.folder, {"a.py": "2"})
    prepared = world.prepare()
    aws.forget()
    with pytest.raises(AirflowUnreachableError, match="cannot be asked"):
        deploy.sync(
            environment,
            prepared,
            deployment=deployment(world.bucket.name),
            origin=ORIGIN,
            find_images=world.images,
            tell=world.said.append,
        )
    assert aws.writes() == []
