"""Releases that failed in their midst, and whoever comes next: what is left unfinished is known and put right."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.wrappers import Response

from pipeline.errors import LockedError, PipelineError
from pipeline.release import lock, plan
from pipeline.release.bucket import ConflictError
from pipeline.release.deploy import Origin
from pipeline.release.pointer import POINTER_KEY
from pipeline.release.record import PartName
from pipeline.release.verify import Patience
from tests.release.conftest import Aws
from tests.release.fakes import FakeAirflow, FakeBucket
from tests.release.values import ORIGIN, write
from tests.release.world import Errors, World, broken, watching

SOMEBODY: dict[str, Any] = {"owner": "ann", "purpose": "sync", "seconds": 60}
DAG = "from airflow.sdk import DAG\nversion = {}\n"


def fail_after_the_parts(world: World, **parts: str) -> None:
    """A sync of parts and of a.py that a hand edit stops once MWAA uses the parts; then the hand edit is undone."""
    write(world.folder, {**{f"{name}.txt": text for name, text in parts.items()}, "a.py": "2"})
    prepared = world.prepare()
    world.put_by_hand("dags/a.py", "hand")
    with pytest.raises(ConflictError):
        world.finish(prepared)
    world.put_by_hand("dags/a.py", "1")
    write(world.folder, {"a.py": "1"})


def pinned(world: World, name: PartName = "requirements") -> str:
    stored = world.bucket.get("requirements.txt", world.mwaa.pinned[name])
    assert stored is not None
    return stored.content.decode()


@pytest.mark.parametrize("back", [False, True], ids=["sync", "rollback"])
def test_requirements_that_no_release_records_are_replaced_by_the_recorded_ones(world: World, back: bool) -> None:
    zeroth = world.sync({"a.py": "1", "requirements.txt": "pandas"})
    world.sync({"b.py": "1"})
    fail_after_the_parts(world, requirements="polars")
    assert pinned(world) == "polars"
    write(world.folder, {"requirements.txt": "pandas"})
    release = world.roll_back() if back else world.sync()
    assert pinned(world) == "pandas"
    assert release.parts == zeroth.parts
    assert lock.read(world.bucket).pointer.unsettled == ()
    assert len(world.mwaa.calls) == 3
    assert world.sync({"b.py": "1"} if back else None).parts == zeroth.parts
    assert len(world.mwaa.calls) == 3, "what is settled is not changed again"


@pytest.mark.parametrize("back", [False, True], ids=["sync", "rollback"])
def test_requirements_that_no_release_ever_had_are_replaced_by_empty_ones(world: World, back: bool) -> None:
    world.sync({"a.py": "1"})
    world.sync({"b.py": "1"})
    fail_after_the_parts(world, requirements="polars")
    (world.folder / "requirements.txt").unlink()
    (row,) = world.prepare().plan.parts
    reason = "an unfinished release may have brought one"
    assert row == plan.PartRow(plan.Action.UPLOAD, "requirements", reason, unsettled=True)
    if back:
        world.roll_back()
    else:
        world.sync()
    assert not pinned(world)


def test_the_same_requirements_once_more_are_neither_uploaded_nor_pinned_again(aws: Aws, world: World) -> None:
    world.sync({"a.py": "1"})
    fail_after_the_parts(world, requirements="polars")
    aws.forget()
    world.sync()
    assert not any(sent.path.endswith("requirements.txt") for sent in aws.writes())
    assert len(world.mwaa.calls) == 1


def test_a_first_release_whose_requirements_pip_cannot_install_fails_each_time(world: World) -> None:
    world.mwaa.pip = lambda version: ["ERROR: no nonsense"] if content(world, version) else []
    for _ in range(2):
        with pytest.raises(PipelineError, match="no nonsense") as error:
            world.sync({"a.py": "1", "requirements.txt": "nonsense"})
        assert "no file was published, and MWAA was given an empty requirements.txt" in error.value.mend
        assert "Correct requirements.txt and push again." in error.value.mend
        assert not pinned(world)
    assert world.contents() == {}
    assert world.current() is None


def test_requirements_that_are_in_force_and_failed_are_judged_again(world: World) -> None:
    world.mwaa.pip = lambda version: ["ERROR: no nonsense"] if content(world, version) == "nonsense" else []
    world.sync({"a.py": "1"})
    fail = world.mwaa.requirements_log
    world.mwaa.requirements_log = interrupt  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        world.sync({"requirements.txt": "nonsense"})
    world.mwaa.requirements_log = fail  # type: ignore[method-assign]
    with pytest.raises(PipelineError, match="no nonsense"):
        world.sync()
    assert not pinned(world)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


def content(world: World, version: str) -> str:
    stored = world.bucket.get("requirements.txt", version)
    return stored.content.decode() if stored else ""


def test_after_a_rollback_that_failed_the_next_one_knows_what_the_bucket_is_a_mix_of(aws: Aws, world: World) -> None:
    first, second, _ = (
        world.sync({"a.py": f"import h  # {n}", "h.py": f"{n}", "q.sql": f"select {n}"}) for n in (1, 2, 3)
    )
    aws.before = lambda sent: Response(status=403) if sent.writes and sent.path.endswith("q.sql") else None
    with pytest.raises(PipelineError, match="403"):
        world.roll_back(first.id)
    aws.before = lambda _: None
    assert world.contents()["dags/h.py"] == "1"
    assert lock.read(world.bucket).pointer.restores == first.id
    aws.forget()
    world.roll_back(second.id)
    written = [sent.path.rpartition("/")[2] for sent in aws.writes()]
    assert written.index("h.py") < written.index("a.py"), "both are older, so the helper comes first"
    assert lock.read(world.bucket).pointer.restores is None


def test_an_error_that_an_interrupted_sync_caused_fails_the_next_one(world: World) -> None:
    first = world.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "one"})
    world.airflow = watching(world, a_needs_one)
    look = world.airflow.each_look

    def stop(airflow: FakeAirflow) -> None:
        look(airflow)
        if airflow.errors:
            raise KeyboardInterrupt

    world.airflow.each_look = stop
    with pytest.raises(KeyboardInterrupt):
        world.sync({"h.py": "two"})
    world.airflow.each_look = look
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.sync()
    assert world.contents()["dags/h.py"] == "one"
    assert world.current() == first


@pytest.mark.parametrize("then", ["two", "three"])
def test_in_an_encrypted_bucket_an_interrupted_sync_s_errors_count_and_its_files_stay(world: World, then: str) -> None:
    encrypted = World(world.folder, FakeBucket(opaque=True))
    first = encrypted.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "one"})
    encrypted.airflow = watching(encrypted, a_needs_one)
    look = encrypted.airflow.each_look

    def stop(airflow: FakeAirflow) -> None:
        look(airflow)
        if airflow.errors:
            raise KeyboardInterrupt

    encrypted.airflow.each_look = stop
    with pytest.raises(KeyboardInterrupt):
        encrypted.sync({"h.py": "two"})
    encrypted.airflow.each_look = look
    write(encrypted.folder, {"h.py": then})
    (row,) = encrypted.prepare().plan.changes
    assert row.action is (plan.Action.ADOPT if then == "two" else plan.Action.UPLOAD)
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        encrypted.sync()
    assert encrypted.contents()["dags/h.py"] == "one"
    assert encrypted.current() != first, "the restoration is noted"
    assert not lock.read(encrypted.bucket).pointer.unfinished


def test_in_an_encrypted_bucket_parts_that_are_there_are_neither_uploaded_nor_pinned_again(world: World) -> None:
    encrypted = World(world.folder, FakeBucket(opaque=True))
    encrypted.sync({"a.py": "1"})
    fail_after_the_parts(encrypted, requirements="polars")
    encrypted.sync()
    assert isinstance(encrypted.bucket, FakeBucket)
    assert encrypted.bucket.written.count("requirements.txt") == 1
    assert len(encrypted.mwaa.calls) == 1


@pytest.mark.parametrize("opaque", [False, True], ids=["plain", "encrypted"])
def test_the_same_release_again_right_after_it_was_taken_back_fails_again(world: World, opaque: bool) -> None:
    late = late_world(world, opaque=opaque)
    late.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "one"})
    for _ in range(3):
        with pytest.raises(PipelineError, match=r"a\.py has an import error"):
            late.sync({"h.py": "two"})
        assert late.contents()["dags/h.py"] == "one"
    assert any("may have left the import errors of a.py" in line for line in late.said)


@pytest.mark.parametrize("change", [{"h.py": "one", "b.py": DAG.format(2)}, {"h.py": "one  # mended"}])
def test_a_good_release_right_after_one_that_was_taken_back_is_verified_once_its_errors_are_gone(
    world: World, change: dict[str, str]
) -> None:
    late = late_world(world)
    late.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "one"})
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        late.sync({"h.py": "two"})
    assert late.airflow is not None
    assert late.airflow.errors, "still of the copy before"
    assert late.sync(change).verified
    assert not late.airflow.errors


def test_an_error_of_a_file_that_was_taken_back_is_not_waited_for(world: World) -> None:
    late = late_world(world, lambda files: {"c.py": "Traceback\nbad"} if "c.py" in files else {})
    late.sync({"a.py": DAG.format(1)})
    with pytest.raises(PipelineError, match=r"c\.py has an import error"):
        late.sync({"c.py": DAG.format(1)})
    assert late.airflow is not None
    look = late.airflow.each_look

    def forgets_late(airflow: FakeAirflow) -> None:
        look(airflow)
        airflow.errors["c.py"] = "Traceback\nbad"

    late.airflow.each_look = forgets_late
    assert late.sync({"c.py": None, "a.py": DAG.format(2)}).verified
    assert not any("c.py" in line for line in late.said if "may have left" in line)


def test_an_error_that_was_there_before_a_release_was_taken_back_is_still_an_old_one(world: World) -> None:
    late = late_world(world, lambda files: {**a_needs_one(files), "old.py": "Traceback\nImportError: long since"})
    airflow, late.airflow = late.airflow, None
    late.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "one", "old.py": DAG.format(1)})
    late.airflow = airflow
    late.clock.pause(60)
    for _ in range(2):
        with pytest.raises(PipelineError, match=r"a\.py has an import error") as error:
            late.sync({"h.py": "two"})
        assert "old.py" not in error.value.what
    assert late.sync({"h.py": "one", "b.py": DAG.format(1)}).verified
    assert lock.read(world.bucket).pointer.failing is None


def test_what_fails_long_after_a_release_was_taken_back_is_not_of_its_making(aws: Aws, world: World) -> None:
    failing: dict[str, str] = {}
    late = late_world(world, lambda files: {**a_needs_one(files), **failing})
    late.sync({"a.py": f"import h\n{DAG.format(1)}", "b.py": DAG.format(1), "h.py": "one"})
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        late.sync({"h.py": "two"})
    failing["b.py"] = "Traceback\nKeyError: a variable that somebody deleted"
    aws.ahead = timedelta(seconds=Patience().longest)
    late.clock.pause(60)
    assert late.sync({"h.py": "one  # as good"}).verified


def test_a_data_file_that_an_interrupted_sync_brought_is_known_by_what_failed_before_it(world: World) -> None:
    late = late_world(world, lambda files: {"a.py": "Traceback\nbad"} if files.get("c.yaml") == "bad" else {})
    late.sync({"a.py": DAG.format(1), "c.yaml": "good"})
    assert late.airflow is not None
    look = late.airflow.each_look

    def stop(airflow: FakeAirflow) -> None:
        look(airflow)
        if airflow.errors:
            raise KeyboardInterrupt

    late.airflow.each_look = stop
    with pytest.raises(KeyboardInterrupt):
        late.sync({"c.yaml": "bad"})
    late.airflow.each_look = look
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        late.sync()


def late_world(world: World, errors: Errors | None = None, *, opaque: bool = False) -> World:
    """A world whose MWAA copies the bucket every 30 seconds."""
    late = World(world.folder, FakeBucket(opaque=True)) if opaque else world
    late.patience = Patience()
    late.airflow = watching(late, errors or a_needs_one, copies_every=30)
    return late


def a_needs_one(files: Mapping[str, str]) -> dict[str, str]:
    return {} if files.get("h.py", "").startswith("one") else {"a.py": "Traceback\nImportError: one"}


def test_a_version_that_expired_is_found_before_anything_is_written(aws: Aws, world: World) -> None:
    first = world.sync({"a.py": "import h", "h.py": "1"})
    world.sync({"a.py": "import h  # 2", "h.py": "2"})
    version = first.files["dags/h.py"].version
    aws.client("s3").delete_object(Bucket=world.bucket.name, Key="dags/h.py", VersionId=version)
    aws.forget()
    with pytest.raises(PipelineError) as error:
        world.roll_back()
    assert error.value.what == (
        f"dags/h.py of the release {first.id} has expired in the bucket, so it cannot be restored"
    )
    assert f"git checkout {first.commit}" in error.value.mend
    assert aws.writes() == []


def test_a_lock_that_is_lost_while_the_former_release_is_restored_is_no_failed_restoration(world: World) -> None:
    world.sync({"a.py": DAG.format(1)})
    world.airflow = watching(world, broken)
    world.said = LosesTheLock(world)
    with pytest.raises(LockedError, match=r"taking back a release that had failed: a\.py has an import error") as error:
        world.sync({"a.py": DAG.format("broken")}, origin=Origin(ORIGIN.commit, ORIGIN.by, lock_seconds=0))
    assert error.value.exit_code == 3


def test_a_lock_that_is_lost_before_mwaa_gets_the_former_requirements_back_replaces_no_worker(world: World) -> None:
    world.sync({"a.py": "1", "requirements.txt": "pandas"})
    world.mwaa.pip = lambda _: ["ERROR: no matching distribution"]
    world.said = LosesTheLock(world)
    with pytest.raises(LockedError, match="no matching distribution"):
        world.sync({"requirements.txt": "polars"})
    assert len(world.mwaa.calls) == 2, "for pandas, and for polars"


def test_without_a_name_a_rollback_after_a_sync_that_did_not_end_goes_to_the_last_good_release(world: World) -> None:
    zeroth, first = (world.sync({"a.py": n, "b.py": n, "requirements.txt": n}) for n in ("0", "1"))
    stop_midway(world)
    assert world.contents()["dags/a.py"] == "2"
    assert world.roll_back().restores == first.id
    assert world.contents() == {"dags/a.py": "1", "dags/b.py": "1"}
    assert f"the DAG files are those of {first.id}" in world.said, "they go back before the workers"
    assert pinned(world) == "1"
    assert world.roll_back().restores == zeroth.id


def test_without_a_name_a_rollback_after_a_sync_that_changed_nothing_yet_goes_to_the_one_before(world: World) -> None:
    zeroth = world.sync({"a.py": "0"})
    world.sync({"a.py": "1"})
    with pytest.raises(KeyboardInterrupt), lock.hold(world.bucket, lock.read(world.bucket), **SOMEBODY):
        raise KeyboardInterrupt
    assert lock.read(world.bucket).pointer.unfinished
    assert world.roll_back().restores == zeroth.id


def test_without_a_name_a_rollback_after_one_that_did_not_end_goes_where_that_one_went(aws: Aws, world: World) -> None:
    zeroth, _ = (world.sync({"a.py": f"import h  # {n}", "h.py": n}) for n in ("0", "1"))
    aws.before = lambda sent: Response(status=403) if sent.writes and sent.path.endswith("h.py") else None
    with pytest.raises(PipelineError, match="403"):
        world.roll_back()
    aws.before = lambda _: None
    assert world.contents()["dags/a.py"] == "import h  # 0"
    assert world.roll_back().restores == zeroth.id


def stop_midway(world: World) -> None:
    """A sync of everything, to 2, that a hand edit of b.py stops after a.py."""
    write(world.folder, {"a.py": "2", "b.py": "import a  # 2", "requirements.txt": "2"})
    prepared = world.prepare()
    world.put_by_hand("dags/b.py", "hand")
    with pytest.raises(ConflictError):
        world.finish(prepared)


class LosesTheLock(list[str]):
    """What is said; once something is being restored, another takes the lock over."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def append(self, line: str) -> None:
        super().append(line)
        if line.startswith("restoring"):
            self._world.put_by_hand(POINTER_KEY, '{"format": 1, "release": null, "serial": 99, "lock": null}')


def test_in_an_encrypted_bucket_a_restored_release_is_no_hand_edit(world: World) -> None:
    encrypted = World(world.folder, FakeBucket(opaque=True))
    encrypted.airflow = watching(encrypted, broken)
    first = encrypted.sync({"a.py": DAG.format(1), "b.py": DAG.format(1)})
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        encrypted.sync({"a.py": DAG.format("broken")})
    write(encrypted.folder, {"a.py": DAG.format(1)})
    assert encrypted.prepare().plan.is_empty
    noted = encrypted.current()
    assert noted is not None
    assert (noted.kind, noted.restores, noted.previous, noted.verified) == ("rollback", first.id, first.id, False)
    assert lock.read(encrypted.bucket).pointer.lock is None
    assert encrypted.sync({"a.py": DAG.format(2)}).previous == noted.id
