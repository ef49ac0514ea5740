"""Unlucky circumstances, each with a clear outcome: sentences and exit codes of the real command, never a traceback."""

import json
import os
import socket
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from pipeline.release.connection import person
from pipeline.release.tree import gather
from tests.release.conftest import Aws, Project, Sent, make_bucket
from tests.release.fakes import FakeBucket
from tests.release.values import write
from tests.release.world import World


def xml(code: str, status: int) -> Response:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return Response(body, status=status, content_type="text/xml")


def test_wrong_credentials_are_told_before_anything_else(aws: Aws, project: Project) -> None:
    aws.before = lambda sent: xml("InvalidClientTokenId", 403) if sent.service == "sts" else None
    said = project.sync(code=1)
    assert "AWS does not know who is calling" in said
    assert aws.writes() == []
    assert "Traceback" not in said


def test_no_credentials_at_all_are_told(aws: Aws, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = project.sync(code=1)
    assert "AWS does not know who is calling" in said
    assert aws.sent == []


def test_a_bucket_that_is_gone_is_named(aws: Aws, project: Project) -> None:
    aws.client("s3").delete_bucket(Bucket=project.bucket)
    said = project.sync(code=1)
    assert "the bucket does not exist" in said
    assert project.bucket in said


def test_a_bucket_without_versions_is_left_as_it_is(aws: Aws, project: Project) -> None:
    s3 = aws.client("s3")
    s3.delete_bucket(Bucket=project.bucket)
    make_bucket(aws, project.bucket, versioned=False)
    aws.forget()
    assert "the bucket keeps no versions, so nothing could be rolled back" in project.sync(code=1)
    assert aws.writes() == []


def test_versioning_that_was_suspended_holds_nobody_up_once_it_is_on_again(aws: Aws, project: Project) -> None:
    project.sync()
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket=project.bucket, VersioningConfiguration={"Status": "Suspended"})
    project.write({"orders.py": "# two\n"})
    for _ in range(2):
        assert "the bucket keeps no versions, so nothing could be rolled back" in project.sync(code=1)
    assert project.pointer()["lock"] is None
    assert project.contents()["dags/orders.py"] == b"from common.s3 import copy\n"
    s3.put_bucket_versioning(Bucket=project.bucket, VersioningConfiguration={"Status": "Enabled"})
    project.sync()


def test_files_from_before_the_bucket_kept_versions_are_stored_anew(aws: Aws, project: Project) -> None:
    s3 = aws.client("s3")
    s3.delete_bucket(Bucket=project.bucket)
    make_bucket(aws, project.bucket, versioned=False)
    for key, content in (("dags/sql/a.sql", "select 1"), ("requirements.txt", "pandas")):
        s3.put_object(Bucket=project.bucket, Key=key, Body=content)
    s3.put_bucket_versioning(Bucket=project.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert "adopt" in project.sync()
    record = project.json(f"releases/{project.pointer()['release']}.json")
    assert "null" not in {file["version"] for file in record["files"].values()}


def test_a_current_release_whose_record_is_gone_says_what_to_restore(aws: Aws, project: Project) -> None:
    project.sync()
    release = project.pointer()["release"]
    aws.client("s3").delete_object(Bucket=project.bucket, Key=f"releases/{release}.json")
    said = project.sync(code=1)
    assert f"releases/{release}.json: the current release is {release}, and its record is gone" in said
    assert "delete releases/current.json to publish everything as a first release" in said
    aws.client("s3").delete_object(Bucket=project.bucket, Key="releases/current.json")
    assert "adopt" in project.sync()


def test_a_record_under_another_one_s_name_is_refused(aws: Aws, project: Project) -> None:
    project.sync(commit="1111111")
    first = project.json(f"releases/{project.pointer()['release']}.json")
    project.write({"orders.py": "# two\n"})
    project.sync(commit="2222222")
    key = f"releases/{project.pointer()['release']}.json"
    aws.client("s3").put_object(Bucket=project.bucket, Key=key, Body=json.dumps(first))
    done = project.run("releases", "dev")
    assert done.returncode == 1
    assert f"{key}: this is the record of another release, {first['id']}" in done.stderr


def test_keys_that_xml_cannot_hold_or_that_would_drive_a_terminal_are_deleted(aws: Aws, project: Project) -> None:
    for name in ("a\x01b.py", "a\x1b[2Jb.py", "\u202eyp.exe"):
        aws.client("s3").put_object(Bucket=project.bucket, Key=f"dags/{name}", Body="x")
    said = project.sync()
    assert not {"\x01", "\x1b", "\u202e"} & set(said)
    assert "dags/a\ufffd[2Jb.py" in said
    assert set(project.contents()) == {
        f"dags/{name}" for name in ("_release.json", "orders.py", "common/s3.py", "sql/a.sql")
    }


def test_who_has_no_name_on_this_machine_can_release() -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    assert person(nobody) == f"uid-{os.getuid()}@{socket.gethostname()}"
    assert person(lambda: "ann") == f"ann@{socket.gethostname()}"


def test_a_denied_key_leaves_the_former_release_and_no_lock(aws: Aws, project: Project) -> None:
    project.sync()
    before = project.pointer()["release"]
    project.write({"orders.py": "# two\n"})

    def deny(sent: Sent) -> Response | None:
        body = (
            "<Error><Code>AccessDenied</Code><Message>not authorized to perform: kms:GenerateDataKey</Message></Error>"
        )
        denied = sent.method == "PUT" and "/dags/" in sent.path
        return Response(body, status=403, content_type="application/xml") if denied else None

    aws.before = deny
    assert "the bucket's KMS key denies access" in project.sync(code=1)
    aws.before = lambda _: None
    assert project.pointer()["release"] == before
    assert project.pointer()["lock"] is None


def test_a_sync_during_a_rollback_says_who_holds_the_lock(aws: Aws, project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# two\n", "common/s3.py": "# two\n"})
    project.sync()
    codes: list[int] = []

    def meanwhile(sent: Sent) -> None:
        if sent.writes and sent.path.endswith("dags/orders.py") and not codes:
            codes.append(-1)
            done = project.run("sync", "dev", "--no-verify", "--commit", "other11", "--by", "bob")
            codes[0] = done.returncode
            assert "ann holds the release lock since" in done.stderr
            assert "(for a rollback)" in done.stderr

    aws.after = meanwhile
    done = project.run("rollback", "dev", "--no-verify", "--by", "ann")
    assert done.returncode == 0, done.stderr
    assert codes == [3]
    assert project.contents()["dags/orders.py"] == b"from common.s3 import copy\n"


def test_a_rollback_to_a_task_definition_that_was_deregistered_is_refused(aws: Aws, project: Project) -> None:
    project.sync()
    project.deploy_tasks(2)
    project.sync()
    aws.client("ecs").deregister_task_definition(taskDefinition=f"{project.name}-ingest:1")
    aws.forget()
    done = project.run("rollback", "dev", "--no-verify")
    assert done.returncode == 1
    assert f"{project.name}-ingest:1: somebody deregistered this revision of the task definition" in done.stderr
    assert aws.writes() == []


def test_a_rollback_to_a_release_that_never_was_names_it(aws: Aws, project: Project) -> None:
    project.sync()
    aws.forget()
    done = project.run("rollback", "dev", "--no-verify", "--to", "20200101T000000Z-abc-0000")
    assert done.returncode == 1
    assert "there is no such release" in done.stderr
    assert "pipeline releases" in done.stderr
    assert aws.writes() == []


def test_a_rollback_to_a_named_release_can_be_looked_at_first(aws: Aws, project: Project) -> None:
    project.sync()
    first = project.pointer()["release"]
    for version in (2, 3):
        project.write({"orders.py": f"# version {version}\n"})
        project.sync()
    aws.forget()
    done = project.run("rollback", "dev", "--no-verify", "--to", first, "--dry-run", "--json")
    assert aws.writes() == []
    plan = json.loads(done.stdout)["plan"]
    assert [(row["action"], row["key"]) for row in plan["rows"]] == [("restore", "dags/orders.py")]
    assert project.run("rollback", "dev", "--no-verify", "--to", first).returncode == 0
    assert project.contents()["dags/orders.py"] == b"from common.s3 import copy\n"


def test_a_hand_edit_between_plan_and_deletion_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    bucket = FakeBucket()
    world = World(tmp_path / "dags", bucket)
    world.sync({"a.py": "1", "b.py": "1"})
    (tmp_path / "dags/b.py").unlink()
    prepared = world.prepare()
    world.put_by_hand("dags/b.py", "somebody's work")
    with pytest.raises(Exception, match="is not as expected"):
        world.finish(prepared)
    assert world.contents()["dags/b.py"] == "somebody's work"


def test_files_left_alone_by_the_settings_stay_through_sync_and_rollback(aws: Aws, project: Project) -> None:
    aws.client("s3").put_object(Bucket=project.bucket, Key="dags/kept/own.py", Body=b"theirs")
    project.write({"kept/own.py": "ours"})
    project.sync()
    project.write({"orders.py": "# two\n"})
    project.sync()
    assert project.run("rollback", "dev", "--no-verify").returncode == 0
    assert project.contents()["dags/kept/own.py"] == b"theirs"


def test_a_link_out_of_the_folder_is_refused_before_anything_is_written(aws: Aws, project: Project) -> None:
    (project.folder / "secret.txt").write_text("not part of the release")
    (project.folder / "dags/link.txt").symlink_to("../secret.txt")
    said = project.sync(code=1)
    assert "the link leads out of dags/" in said
    assert aws.writes() == []


def test_a_file_of_200_megabytes_is_published_without_being_held_in_memory(project: Project) -> None:
    path = project.folder / "dags/large.bin"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    (project.folder / "dags/empty.sql").touch()
    with gather(project.folder / "dags").files["dags/large.bin"].opened() as content:
        assert not isinstance(content, bytes)
    project.sync()
    sizes = {
        item["Key"]: item["Size"]
        for item in project.aws.client("s3").list_objects_v2(Bucket=project.bucket, Prefix="dags/")["Contents"]
    }
    assert (sizes["dags/large.bin"], sizes["dags/empty.sql"]) == (200_000_000, 0)
    assert "nothing to release" in project.sync()


def test_ten_thousand_files_are_one_release_and_then_none(tmp_path: Path) -> None:
    bucket = FakeBucket()
    world = World(write(tmp_path / "dags", {f"team{n % 9}/dag_{n}.py": f"n = {n}" for n in range(10_000)}), bucket)
    assert len(world.sync().files) == 10_001
    before = bucket.requests
    world.sync()
    assert bucket.requests - before == 2 + 11
    world.sync({"team0/dag_0.py": "n = 'new'"})
    assert bucket.written[-4:-2] == ["releases/current.json", "dags/team0/dag_0.py"]
