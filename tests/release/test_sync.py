"""The command itself, in a process of its own, against S3, CloudFormation, STS and ECS (moto's)."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from tests.release.conftest import Aws, Project, Sent


def test_a_first_sync_publishes_everything_and_records_it(project: Project) -> None:
    said = project.sync()
    pointer = project.pointer()
    assert pointer["lock"] is None
    assert said.rstrip().endswith(f"RELEASE {pointer['release']}")
    assert set(project.contents()) == {
        "dags/_release.json",
        "dags/orders.py",
        "dags/common/s3.py",
        "dags/sql/a.sql",
    }
    record = project.json(f"releases/{pointer['release']}.json")
    assert set(record["files"]) == set(project.contents())
    assert record["tasks"]["ingest"]["image"] == "registry/etl/ingest:1"


def test_the_plan_is_told_with_a_reason_in_every_row(project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# new\n", "sql/a.sql": None, "sql/b.sql": "select 2"})
    project.deploy_tasks(2)
    dry = project.sync("--dry-run").splitlines()
    assert dry[-1] == "dry run: nothing was changed"
    said = project.sync().splitlines()
    assert [" ".join(line.split()) for line in said[:-1]] == [
        "upload dags/_release.json changed",
        "upload dags/sql/b.sql new",
        "upload dags/orders.py changed",
        "delete dags/sql/a.sql removed",
        f"task ingest: {project.name}-ingest:1 → {project.name}-ingest:2",
        "keep 1 file",
    ]
    assert dry[:-1] == said[:-1]


def test_a_dry_run_writes_nothing(aws: Aws, project: Project, tmp_path: Path) -> None:
    project.sync("--dry-run", "--release-file", str(tmp_path / "release"))
    assert aws.writes() == []
    assert not (tmp_path / "release").exists()


def test_a_commit_of_the_readme_alone_releases_nothing(aws: Aws, project: Project, tmp_path: Path) -> None:
    project.sync(commit="1111111")
    release = project.pointer()["release"]
    (project.folder / "README.md").write_text("new")
    aws.forget()
    said = project.sync("--release-file", str(tmp_path / "release"), commit="2222222")
    assert aws.writes() == []
    assert len(aws.sent) <= 1 + 6, "of all services together"
    assert f"nothing to release: dev already runs this, as {release} (commit 1111111)" in said
    assert said.rstrip().endswith(f"RELEASE {release}")
    assert (tmp_path / "release").read_text() == f"{release}\n"


def test_one_changed_file_takes_four_more_requests(aws: Aws, project: Project) -> None:
    project.sync()
    aws.forget()
    project.sync()
    nothing = len(aws.sent)
    project.write({"orders.py": "# other\n"})
    aws.forget()
    project.sync()
    assert len(aws.sent) == nothing + 4


def test_json_is_all_that_goes_to_standard_output(project: Project) -> None:
    done = project.run("sync", "dev", "--no-verify", "--commit", "c0ffee1", "--json")
    document = json.loads(done.stdout)
    assert document["release"] == project.pointer()["release"]
    assert {row["key"] for row in document["plan"]["rows"]} == set(project.contents())


def test_the_history_can_be_listed_and_gone_back_in(project: Project) -> None:
    project.sync(commit="1111111")
    first = project.pointer()["release"]
    project.write({"orders.py": "# broken\n"})
    project.sync(commit="2222222")
    done = project.run("rollback", "dev", "--no-verify")
    assert done.returncode == 0, done.stderr
    assert project.contents()["dags/orders.py"] == b"from common.s3 import copy\n"
    listed = json.loads(project.run("releases", "dev", "--json").stdout)
    assert [release["commit"] for release in listed] == ["1111111", "2222222", "1111111"]
    assert [release["current"] for release in listed] == [True, False, False]
    assert listed[0]["restores"] == first
    assert project.run("releases", "dev").stdout.startswith(f"* {project.pointer()['release']}")


def test_only_releases_that_were_current_are_listed_each_read_once(aws: Aws, project: Project) -> None:
    project.sync(commit="1111111")
    project.write({"orders.py": "# two\n"})

    refused: list[Sent] = []

    def refuse_the_switch(sent: Sent) -> Response | None:
        """The record is written before it; the lock is let go after it."""
        has_record = any(each.path.startswith(f"/{project.bucket}/releases/20") for each in aws.writes())
        if has_record and sent.path.endswith("current.json") and not refused:
            refused.append(sent)
            return Response(status=403)
        return None

    aws.forget()
    aws.before = refuse_the_switch
    project.sync(commit="2222222", code=1)
    aws.before = lambda _: None
    project.sync(commit="3333333")
    keys = aws.client("s3").list_objects_v2(Bucket=project.bucket, Prefix="releases/20")["KeyCount"]
    assert keys == 3
    aws.forget()
    listed = json.loads(project.run("releases", "dev", "--json").stdout)
    assert [release["commit"] for release in listed] == ["3333333", "1111111"]
    assert [sent.method for sent in aws.s3()] == ["GET"] * 3, "the pointer and two records"
    assert len(json.loads(project.run("releases", "dev", "--json", "--limit", "1").stdout)) == 1


def test_where_a_record_is_gone_the_history_ends_and_says_so(aws: Aws, project: Project) -> None:
    project.sync(commit="1111111")
    first = project.pointer()["release"]
    project.write({"orders.py": "# two\n"})
    project.sync(commit="2222222")
    aws.client("s3").delete_object(Bucket=project.bucket, Key=f"releases/{first}.json")
    done = project.run("releases", "dev")
    assert done.returncode == 0, done.stderr
    assert f"the history ends here: the record of {first} is gone" in done.stdout
    assert "2222222" in done.stdout


@pytest.mark.parametrize("to", ["current", "", "../current", "20261107T101500Z"])
def test_a_rollback_to_what_is_no_release_is_wrong_usage(aws: Aws, project: Project, to: str) -> None:
    done = project.run("rollback", "dev", "--no-verify", "--to", to)
    assert done.returncode == 2
    assert f"--to: {to!r} is no release; expected an id like" in done.stderr
    assert "`pipeline releases dev` lists them." in done.stderr
    assert aws.sent == []


def test_a_release_file_in_a_folder_that_is_not_there_is_written(project: Project) -> None:
    project.sync("--release-file", "missing/dir/x")
    assert (project.folder / "missing/dir/x").read_text() == f"{project.pointer()['release']}\n"


def test_a_release_file_that_cannot_be_written_is_told_before_anything_is_released(aws: Aws, project: Project) -> None:
    (project.folder / "afile").write_text("mine")
    for command in ("sync", "rollback"):
        done = project.run(command, "dev", "--no-verify", "--release-file", "afile/x")
        assert done.returncode == 2
        assert "afile/x: the file cannot be written: a part of its path is a file, not a folder" in done.stderr
    assert aws.sent == []


def test_a_file_is_told_by_its_name_not_by_a_picture(project: Project) -> None:
    project.write({":bug:.py": "# x\n"})
    assert "dags/:bug:.py" in project.sync()


def test_the_commit_comes_from_codebuild_or_from_git(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = project.run("sync", "dev", "--no-verify")
    assert nothing.returncode == 2
    assert "Give the commit with --commit" in nothing.stderr
    monkeypatch.setenv("CODEBUILD_RESOLVED_SOURCE_VERSION", "abcdef0123")
    monkeypatch.setenv("CODEBUILD_BUILD_ID", "etl-sync:1")
    assert project.run("sync", "dev", "--no-verify").returncode == 0
    record = project.json(f"releases/{project.pointer()['release']}.json")
    assert (record["commit"], record["by"]) == ("abcdef0123", "etl-sync:1")


def test_an_environment_that_is_not_deployed_is_a_sentence(aws: Aws, project: Project) -> None:
    aws.client("cloudformation").delete_stack(StackName=f"{project.name}-dev-tasks")
    said = project.sync(code=1)
    assert f"{project.name}-dev-tasks: the stack does not exist: the environment is not deployed" in said
    assert "Traceback" not in said


def test_an_environment_nobody_configured_is_wrong_usage(project: Project) -> None:
    done = project.run("sync", "production", "--no-verify", "--commit", "c0ffee1")
    assert done.returncode == 2
    assert "there is no environment 'production'; there are: dev" in done.stderr


def test_airflow_is_asked_unless_told_otherwise(aws: Aws, project: Project) -> None:
    done = project.run("sync", "dev", "--commit", "c0ffee1")
    assert done.returncode == 1
    assert "the running Airflow cannot be asked" in done.stderr
    assert "--no-verify" in done.stderr
    assert aws.writes() == []


def test_two_syncs_at_once_do_not_interleave(aws: Aws, project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# two\n", "common/s3.py": "# two\n"})
    codes: list[int] = []

    def second(sent: Any) -> None:
        if sent.path.endswith("dags/common/s3.py") and not codes:
            codes.append(-1)
            done = project.run("sync", "dev", "--no-verify", "--commit", "other11", "--by", "bob")
            codes[0] = done.returncode
            assert "ann holds the release lock since" in done.stderr

    aws.after = second
    project.sync("--by", "ann")
    assert codes == [3]
    assert project.contents()["dags/orders.py"] == b"# two\n"


@pytest.mark.parametrize("as_json", [False, True], ids=["lines", "json"])
def test_the_plan_that_is_carried_out_is_told_when_another_release_was_quicker(
    aws: Aws, project: Project, as_json: bool
) -> None:
    project.sync()
    project.write({"orders.py": "# two\n"})
    between: list[str] = []

    def quicker(sent: Any) -> None:
        if sent.method == "GET" and "list-type" in sent.query and not between:
            between.append("")
            kept = (project.folder / "dags/orders.py").read_bytes()
            project.write({"orders.py": "# theirs\n", "theirs.sql": "select 1"})
            project.sync(commit="other11")
            between[0] = project.pointer()["release"]
            project.write({"orders.py": kept, "theirs.sql": None})

    aws.after = quicker
    arguments = ("sync", "dev", "--no-verify", "--commit", "c0ffee1", *(["--json"] if as_json else []))
    done = project.run(*arguments)
    assert done.returncode == 0, done.stderr
    said = done.stderr if as_json else done.stdout
    _, told, after = said.partition("another release was made meanwhile: planning again")
    assert told
    assert "delete   dags/theirs.sql" in after
    if as_json:
        assert json.loads(done.stdout)["plan"]["base"] == between[0]


def test_names_with_spaces_and_letters_beyond_ascii_are_published(project: Project) -> None:
    project.write({"größe und maß/日次 [報告].py": "# x\n"})
    said = project.sync()
    assert "dags/größe und maß/日次 [報告].py" in said
    assert project.contents()["dags/größe und maß/日次 [報告].py"] == b"# x\n"
    assert "nothing to release" in project.sync()
