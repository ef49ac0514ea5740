"""The command itself, in a process of its own, against S3, CloudFormation, STS and ECS (moto's)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.release.conftest import Aws, Project


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


def test_names_with_spaces_and_letters_beyond_ascii_are_published(project: Project) -> None:
    project.write({"größe und maß/日次 [報告].py": "# x\n"})
    said = project.sync()
    assert "dags/größe und maß/日次 [報告].py" in said
    assert project.contents()["dags/größe und maß/日次 [報告].py"] == b"# x\n"
    assert "nothing to release" in project.sync()
