"""`pipeline diff`, in a process of its own, against S3, CloudFormation and ECS (moto's)."""

import hashlib
import json
import os
import subprocess
from typing import Any

from tests.release.conftest import Aws, Project


def left(project: Project, **dags: dict[str, Any]) -> None:
    """What the test of the DAGs leaves."""
    folder = project.folder / "dags"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    document = {"format": 2, "files": files, "dags": {"dev": dags}}
    (project.folder / "reports").mkdir(exist_ok=True)
    (project.folder / "reports/dags.json").write_text(json.dumps(document))


def orders(schedule: str) -> dict[str, Any]:
    return {"file": "orders.py", "schedule": schedule, "tasks": {"copy": {"operator": "Fargate"}}}


def test_the_difference_is_told_before_a_release(aws: Aws, project: Project) -> None:
    left(project, orders=orders("@daily"))
    project.sync(commit="1111111111111")
    assert project.json(f"releases/{project.pointer()['release']}.json")["dags"]["orders"]["schedule"] == "@daily"
    project.write({"orders.py": "# new\n", "new.py": "", "sql/a.sql": None, "requirements.txt": "pandas==2\n"})
    left(project, orders=orders("@hourly"))
    aws.client("s3").put_object(Bucket=project.bucket, Key="dags/common/s3.py", Body=b"hand")
    aws.forget()
    done = project.run(
        *("diff", "dev", "--commit", "2222222222222", "--html", "out/page.html", "--json-file", "out/dossier.json"),
        *(
            "--summary-file",
            "out/summary.txt",
            "--store",
            f"s3://{project.bucket}/dossiers",
            "--link-file",
            "out/link.txt",
        ),
    )
    assert done.returncode == 0, done.stderr
    assert {sent.path for sent in aws.writes()} == {
        f"/{project.bucket}/dossiers/dev.html",
        f"/{project.bucket}/dossiers/dev.json",
    }
    told = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        f"dev runs {project.pointer()['release']} (commit 1111111111); this is commit 2222222222",
        "DAGs 1 changed",
        "schedule: @daily → @hourly",
        "new file new.py",
        "removed file sql/a.sql",
        "! Drift 1 file changed by hand, which the release undoes",
        "+ pandas==2",
    ):
        assert line in told
    assert any(line.startswith("! In flight not known: the running Airflow cannot be asked") for line in told)
    out = project.folder / "out"
    assert json.loads((out / "dossier.json").read_text())["replaces_workers"] is True
    assert "this is commit 2222222222" in (out / "summary.txt").read_text()
    assert (out / "page.html").read_text().startswith("<!doctype html>")
    link = (out / "link.txt").read_text().strip()
    assert link.startswith(f"{aws.endpoint}/{project.bucket}/dossiers/dev.html?")
    document = json.loads(project.run("diff", "dev", "--commit", "2222222222222", "--json").stdout)
    assert document["dags"]["changed"] == [{"dag_id": "orders", "what": ["schedule: @daily → @hourly"]}]


def test_structures_of_other_files_are_not_taken_for_these(project: Project) -> None:
    left(project, orders=orders("@daily"))
    project.write({"late.py": "# came after the tests\n"})
    project.sync()
    assert project.json(f"releases/{project.pointer()['release']}.json")["dags"] is None


def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(aws: Aws, project: Project) -> None:
    (project.folder / "afile").write_text("mine")
    for option in ("--html", "--json-file", "--summary-file", "--link-file"):
        done = project.run("diff", "dev", "--commit", "2222222222222", option, "afile/page.html")
        assert (done.returncode, done.stdout) == (2, "")
        assert "afile/page.html: the file cannot be written: a part of its path is a file" in done.stderr
    assert aws.sent == []
    assert (project.folder / "afile").read_text() == "mine"


def test_an_environment_that_is_not_deployed_yet_has_a_dossier_too(aws: Aws, project: Project) -> None:
    aws.client("cloudformation").delete_stack(StackName=f"{project.name}-dev-airflow")
    left(project, orders=orders("@daily"))
    done = project.run("diff", "dev", "--commit", "2222222222222")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "dev is not deployed yet; this is commit 2222222222" in said
    assert "Environment comes with this commit: all that follows is new" in said
    assert "new DAG orders" in done.stdout


def test_by_hand_old_reports_do_not_speak_for_new_files(project: Project) -> None:
    git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for command in ([*git, "init", "-q"], [*git, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(command, cwd=project.folder, check=True)
    report = project.folder / "reports/dags.xml"
    report.parent.mkdir()
    report.write_text('<testsuite><testcase name="one"/></testsuite>')
    assert "Tests 1 passed, 0 failed" in " ".join(project.run("diff", "dev").stdout.split())
    os.utime(report, (0, 0))
    said = " ".join(project.run("diff", "dev").stdout.split())
    assert "! Tests not known: the reports are older than the files here" in said
    of_a_build = " ".join(project.run("diff", "dev", "--commit", "2222222222222").stdout.split())
    assert "Tests 1 passed, 0 failed" in of_a_build


def test_by_hand_what_only_the_pipelines_steps_know_is_said_to_be_in_its_own_dossier(project: Project) -> None:
    git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for command in ([*git, "init", "-q"], [*git, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(command, cwd=project.folder, check=True)
    hint = "the pipeline's own dossier has what is not known here: `pipeline status` shows the link"
    assert hint in " ".join(project.run("diff", "dev").stdout.split())
    assert hint not in " ".join(project.run("diff", "dev", "--commit", "2222222222222").stdout.split())
