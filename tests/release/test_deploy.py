"""Deploying and rolling back in one process: S3 is moto's, MWAA and Airflow are fakes."""

import pytest

from pipeline.errors import LockedError, PipelineError
from pipeline.release import lock
from pipeline.release.lock import hold
from pipeline.release.plan import EMPTY_PARTS, Plan
from tests.release.conftest import Aws
from tests.release.values import ARN, write
from tests.release.world import World


def test_the_record_is_the_release(world: World) -> None:
    release = world.sync({"a.py": "import helper", "helper.py": "1", "requirements.txt": "pandas"})
    assert world.current() == release
    assert world.contents() == {"dags/a.py": "import helper", "dags/helper.py": "1"}
    assert {key: file.level for key, file in release.files.items()} == {
        "dags/_release.json": 0,
        "dags/helper.py": 1,
        "dags/a.py": 2,
    }
    for key, file in release.files.items():
        assert world.bucket.get(key, file.version) is not None
    assert (release.previous, release.kind, release.by, release.verified) == (None, "deploy", "ann@laptop", False)
    assert release.tasks["ingest"].task_definition == ARN.format(1)
    assert release.tasks["ingest"].image == "image-of-1"
    assert world.mwaa.pinned == {"requirements": release.parts["requirements"].version}


def test_nothing_changed_writes_nothing_and_is_no_release(aws: Aws, world: World) -> None:
    first = world.sync({"a.py": "1", "requirements.txt": "pandas", "plugins/p.py": ""})
    aws.forget()
    assert world.sync() == first
    assert aws.writes() == []
    assert len(world.mwaa.calls) == 1
    assert world.images_asked == [ARN.format(1)]


def test_one_changed_file_is_the_only_file_written(aws: Aws, world: World) -> None:
    first = world.sync({"a.py": "1", "b.py": "2"})
    aws.forget()
    second = world.sync({"a.py": "3"})
    assert [sent.path.split("/", 2)[2] for sent in aws.writes()] == [
        "releases/current.json",
        "dags/a.py",
        f"releases/{second.id}.json",
        "releases/current.json",
    ]
    assert second.previous == first.id
    assert second.files["dags/b.py"] == first.files["dags/b.py"]


def test_an_edit_of_the_same_size_is_uploaded(world: World) -> None:
    world.sync({"a.py": "x = 1"})
    world.sync({"a.py": "x = 2"})
    assert world.contents()["dags/a.py"] == "x = 2"


def test_a_deleted_file_is_deleted_last(aws: Aws, world: World) -> None:
    world.sync({"a.py": "1", "b.py": "2"})
    aws.forget()
    world.sync({"a.py": None, "b.py": "3"})
    assert world.contents() == {"dags/b.py": "3"}
    written = [sent.method for sent in aws.writes()]
    assert written == ["PUT", "PUT", "POST", "PUT", "PUT"]


def test_hand_edits_are_undone_and_reported(world: World) -> None:
    world.sync({"a.py": "1", "b.py": "2"})
    world.put_by_hand("dags/a.py", "hand")
    world.put_by_hand("dags/extra.py", "hand")
    world.bucket.delete(["dags/b.py"])
    drift = {row.key: row.reason for row in world.prepare().plan.rows if row.drift}
    assert drift == {
        "dags/a.py": "changed by hand since the last release",
        "dags/b.py": "deleted by hand since the last release",
        "dags/extra.py": "put there by hand, and not in this commit",
    }
    world.sync()
    assert world.contents() == {"dags/a.py": "1", "dags/b.py": "2"}


def test_what_keep_names_stays(world: World) -> None:
    world.keep = ("team/*",)
    world.put_by_hand("dags/team/own.py", "theirs")
    release = world.sync({"a.py": "1", "team/other.py": "ours"})
    assert world.contents() == {"dags/a.py": "1", "dags/team/own.py": "theirs"}
    assert "dags/team/other.py" not in release.files
    assert world.sync() == release


def test_a_hand_edit_while_a_sync_runs_stops_it(world: World) -> None:
    first = world.sync({"a.py": "1"})
    write(world.folder, {"a.py": "2"})
    prepared = world.prepare()
    world.put_by_hand("dags/a.py", "hand")
    with pytest.raises(PipelineError, match="someone else changed it meanwhile"):
        world.finish(prepared)
    assert world.contents() == {"dags/a.py": "hand"}
    assert world.current() == first
    assert lock.read(world.bucket).pointer.lock is None
    world.sync()
    assert world.contents() == {"dags/a.py": "2"}


def test_a_plan_that_was_overtaken_is_made_again(world: World) -> None:
    world.sync({"a.py": "1"})
    write(world.folder, {"a.py": "2"})
    prepared = world.prepare()
    other = World(world.folder.parent / "other", world.bucket)
    between = other.sync({"a.py": "1", "b.py": "theirs"})
    release = world.finish(prepared)
    assert "another release was made meanwhile: planning again" in world.said
    assert [plan.base for plan in world.replanned] == [between.id]
    assert release.previous == between.id
    assert world.contents() == {"dags/a.py": "2"}


def test_while_another_releases_nothing_is_written(aws: Aws, world: World) -> None:
    world.sync({"a.py": "0"})
    world.sync({"a.py": "1"})
    write(world.folder, {"a.py": "2"})
    prepared = world.prepare()
    with hold(world.bucket, lock.read(world.bucket), owner="bob", purpose="rollback", seconds=60):
        aws.forget()
        with pytest.raises(LockedError, match="bob holds the release lock since"):
            world.finish(prepared)
        with pytest.raises(LockedError, match="bob holds the release lock since"):
            world.sync()
        with pytest.raises(LockedError, match="bob holds the release lock since"):
            world.roll_back()
        assert {sent.path for sent in aws.writes()} <= {f"/{world.bucket.name}/releases/current.json"}
        holder = lock.read(world.bucket).pointer.lock
        assert holder is not None
        assert holder.owner == "bob"
    assert world.contents() == {"dags/a.py": "1"}


def test_a_part_is_uploaded_once_and_mwaa_updated_before_any_dag(aws: Aws, world: World) -> None:
    aws.forget()
    world.sync({"a.py": "1", "requirements.txt": "pandas", "startup.sh": "true"})
    keys = [sent.path.split("/", 2)[2] for sent in aws.writes()]
    assert keys.index("requirements.txt") < keys.index("dags/_release.json")
    assert len(world.mwaa.calls) == 1
    aws.forget()
    world.sync({"requirements.txt": "polars"})
    assert [sent.path.split("/", 2)[2] for sent in aws.writes()][1] == "requirements.txt"
    assert list(world.mwaa.calls[1][0]) == ["requirements"]


def test_a_failed_update_publishes_no_dag_and_the_next_run_uploads_nothing_twice(aws: Aws, world: World) -> None:
    world.mwaa.fails_with = "INTERNAL: no"
    with pytest.raises(PipelineError, match="INTERNAL: no"):
        world.sync({"a.py": "1", "requirements.txt": "pandas"})
    assert world.contents() == {}
    world.mwaa.fails_with = ""
    aws.forget()
    world.sync()
    assert not any(sent.path.endswith("requirements.txt") for sent in aws.writes())


def test_a_removed_part_is_replaced_by_an_empty_one(world: World) -> None:
    world.sync({"requirements.txt": "pandas", "startup.sh": "true", "plugins/p.py": ""})
    world.sync({"requirements.txt": None, "startup.sh": None, "plugins/p.py": None})
    for key, content in (
        ("requirements.txt", EMPTY_PARTS["requirements"]),
        ("plugins.zip", EMPTY_PARTS["plugins"]),
        ("startup.sh", EMPTY_PARTS["startup"]),
    ):
        stored = world.bucket.get(key)
        assert stored is not None
        assert stored.content == content
    assert len(world.mwaa.calls) == 2
    world.sync()
    assert len(world.mwaa.calls) == 2


def test_a_new_revision_is_released_through_the_release_file(aws: Aws, world: World) -> None:
    world.sync({"a.py": "1"})
    world.revision = 2
    aws.forget()
    release = world.sync()
    assert [sent.path for sent in aws.writes()][1].endswith("dags/_release.json")
    assert release.tasks["ingest"].image == "image-of-2"


def test_rolling_back_restores_the_former_release(aws: Aws, world: World) -> None:
    first = world.sync({"a.py": "import h", "h.py": "1", "gone.py": "x", "requirements.txt": "pandas"})
    world.revision = 2
    second = world.sync({"h.py": "2", "gone.py": None, "new.py": "n", "requirements.txt": "polars"})
    aws.forget()
    third = world.roll_back()
    assert world.contents() == {"dags/a.py": "import h", "dags/h.py": "1", "dags/gone.py": "x"}
    assert (third.kind, third.restores, third.previous, third.commit) == (
        "rollback",
        first.id,
        second.id,
        first.commit,
    )
    assert third.tasks == first.tasks
    assert world.mwaa.pinned["requirements"] == first.parts["requirements"].version
    assert world.current() == third
    copies = [sent for sent in aws.writes() if "/dags/" in sent.path]
    assert len(copies) == 3, "h.py, gone.py and _release.json are copied; a.py is as it was"


def test_a_deploy_after_a_rollback_goes_forward_again(world: World) -> None:
    world.sync({"a.py": "1"})
    world.sync({"a.py": "2"})
    world.roll_back()
    world.sync()
    assert world.contents() == {"dags/a.py": "2"}


def test_a_second_rollback_goes_further_back(world: World) -> None:
    first = world.sync({"a.py": "1"})
    world.sync({"a.py": "2"})
    world.sync({"a.py": "3"})
    world.roll_back()
    assert world.contents() == {"dags/a.py": "2"}
    assert world.roll_back().restores == first.id
    assert world.contents() == {"dags/a.py": "1"}
    with pytest.raises(PipelineError, match="is the first release"):
        world.roll_back()


def test_a_rollback_to_what_runs_does_nothing(aws: Aws, world: World) -> None:
    first = world.sync({"a.py": "1"})
    aws.forget()
    assert world.roll_back(first.id) == first
    assert aws.writes() == []


def test_a_release_that_never_was_is_named(world: World) -> None:
    world.sync({"a.py": "1"})
    with pytest.raises(PipelineError, match="there is no such release"):
        world.roll_back("20200101T000000Z-abc-0000")


def test_nothing_can_be_rolled_back_before_the_first_release(world: World) -> None:
    with pytest.raises(PipelineError, match="nothing was released yet"):
        world.roll_back()


def test_versioning_switched_off_is_found_before_anything_is_written(aws: Aws, world: World) -> None:
    aws.client("s3").put_bucket_versioning(Bucket=world.bucket.name, VersioningConfiguration={"Status": "Suspended"})
    aws.forget()
    with pytest.raises(PipelineError, match="keeps no versions"):
        world.sync({"a.py": "1"})
    assert aws.writes() == []


def test_a_large_and_an_empty_file_are_published(world: World) -> None:
    world.sync({"large.bin": b"x" * 20_000_000, "empty.sql": b""})
    listing = world.bucket.listing("dags/")
    assert (listing["dags/large.bin"].size, listing["dags/empty.sql"].size) == (20_000_000, 0)


def test_two_thousand_files_take_the_promised_requests(aws: Aws, world: World) -> None:
    write(world.folder, {f"team{n % 7}/dag_{n:04}.py": f"number = {n}\n" for n in range(2000)})
    aws.forget()
    world.sync()
    assert len(aws.s3()) <= 2001 + 6 + 2
    aws.forget()
    world.sync()
    nothing = len(aws.s3())
    assert nothing <= 3 + 6, "one request per 1,000 objects (2,001 are three pages) plus 6"
    assert nothing == 5, "pointer, record, three pages"
    write(world.folder, {"team0/dag_0000.py": "number = 9\n"})
    aws.forget()
    world.sync()
    assert len(aws.s3()) == nothing + 4


def test_a_plan_is_a_value(world: World) -> None:
    write(world.folder, {"a.py": "1"})
    one: Plan = world.prepare().plan
    assert one == world.prepare().plan
    assert hash(one) == hash(world.prepare().plan)
