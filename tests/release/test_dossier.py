"""The dossier: what is compared, how it is told, and the command against S3, CloudFormation and ECS (moto's)."""

import hashlib
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release import dossier, evidence, in_flight
from pipeline.release.commits import Between, Commit
from pipeline.release.dossier import Dossier, Files, ImageChange
from pipeline.release.dossier_page import page, text
from pipeline.release.dossier_sections import headline, sections, summary
from pipeline.release.evidence import Evidence, Image, Suite
from pipeline.release.in_flight import InFlight
from pipeline.release.record import TaskRecord
from pipeline.release.structure import Dag, DagChange, DagDifference, Task
from pipeline.release.tree import gather
from tests.release.conftest import Aws, Project
from tests.release.fakes import FakeAirflow
from tests.release.values import ARN, FIRST, release, write

EVIL = "<script>alert('x')</script> & \"more\""
FULL = Dossier(
    environment="prod",
    commit="abcdef0123456789",
    running=release(),
    commits=Between(
        added=(Commit("1" * 40, (), "Ann", 1_790_000_000, EVIL), Commit("2" * 40, (), "Bob", 1_780_000_000, "Second")),
        taken_back=(Commit("3" * 40, (), "Cleo", 1_770_000_000, "Left"),),
    ),
    files=Files(changed=("orders.py",)),
    dags=DagDifference(
        added=(DagChange("report", ("in report.py, schedule: @daily", "1 task: mail")),),
        removed=(DagChange("old", ("in old.py, schedule: none", "0 tasks: none")),),
        changed=(DagChange("orders", ("schedule: @daily → @hourly",)),),
    ),
    images=(ImageChange("ingest", "aaa", "bbb", "src/main.py changed", 151_000_000),),
    parts={"requirements.txt": "changed"},
    requirements=("- pandas==2.1", "+ pandas==2.2"),
    drift={"dags/a.py": "changed by hand since the last release"},
    tests=(Suite("dags", 12, 1, 2, ("orders test_it",)),),
    in_flight=InFlight({"orders": 1}, {"orders": 3}),
)


def test_everything_a_release_manager_asks_is_answered() -> None:
    told = list(text(FULL))
    assert told[0] == f"prod runs {FIRST} (commit c0ffee1); this is commit abcdef0123"
    states = {line[2:12].strip(): line[13:] for line in told if line[0] in " !" and line[2] != " "}
    assert states == {
        "Commits": "2 commits by 2 authors, 1 taken back",
        "DAGs": "1 added, 1 removed, 1 changed",
        "Images": "1 differ (ingest)",
        "Workers": "will be replaced (GRACEFUL: tasks in flight may end, for up to 12 h)",
        "Drift": "1 file changed by hand, which the release undoes",
        "Tests": "12 passed, 1 failed, 2 skipped",
        "In flight": "1 DAG run, 3 tasks",
    }
    lines = [line.strip() for line in told]
    for line in (
        "schedule: @daily → @hourly",
        "ingest: aaa → bbb, 151 MB",
        "src/main.py changed",
        "+ pandas==2.2",
        "2222222222  2026-05-28  Bob: Second",
        "failed: orders test_it",
        "dags/a.py: changed by hand since the last release",
        "orders: 1 run, 3 tasks",
    ):
        assert line in lines


def test_what_is_not_known_is_said_not_to_be() -> None:
    bare = Dossier(
        "prod", "abcdef0123456789", commits_unknown="CodeCommit refuses", in_flight=InFlight(unknown="no answer")
    )
    states = {section.title: section.state for section in sections(bare)}
    assert states["Commits"] == "not known: CodeCommit refuses"
    assert states["Images"] == "not known: no step left images.json"
    assert states["Tests"] == "not known: no step left a report"
    assert states["In flight"] == "not known: no answer"
    assert headline(bare).startswith("prod runs no release yet")


def test_an_environment_that_cannot_be_read_is_no_empty_one() -> None:
    bare = Dossier("prod", "abcdef0123456789", unread="access denied")
    assert not bare.is_empty
    assert headline(bare).startswith("prod could not be read")
    first = sections(bare)[0]
    assert (first.title, first.warns) == ("Environment", True)


def test_an_environment_that_is_not_deployed_yet_is_not_called_unreadable() -> None:
    bare = Dossier("prod", "abcdef0123456789", deployed=False)
    assert not bare.is_empty
    assert headline(bare).startswith("prod is not deployed yet")
    assert "could not be read" not in summary(bare)
    assert [section.title for section in sections(bare) if section.warns] == []


def test_the_summary_fits_an_approval_and_names_every_section() -> None:
    line = summary(FULL)
    assert len(line) <= 700
    assert "\n" not in line
    for said in ("2 commits by 2 authors", "workers: will be replaced", "in flight: 1 DAG run, 3 tasks"):
        assert said in line
    assert len(summary(replace(FULL, unread="x" * 5, commits=None, commits_unknown="y" * 2000))) == 700


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.stack: list[str] = []
        self.words = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data if "style" not in self.stack else ""


def test_the_page_needs_nothing_else_and_is_made_for_a_phone() -> None:
    found = Page(page(FULL))
    assert found.stack == [], "every element is closed"
    assert found.outside == []
    assert not {"script", "link", "img", "table", "iframe"} & set(found.tags)
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page(FULL)
    assert not re.search(r"url\(|@import|width:\s*\d{3,}px", page(FULL))
    assert "prefers-color-scheme:dark" in page(FULL)


def test_the_page_says_all_that_the_text_says_and_escapes_it() -> None:
    words = " ".join(Page(page(FULL)).words.split())
    for section in sections(FULL):
        for line in (section.state, *section.lines):
            assert " ".join(line.split()) in words
    assert EVIL in words


def test_what_needs_a_look_is_open_and_marked() -> None:
    cards = re.findall(r"<details[^>]*>", page(FULL))
    marked = [section.warns for section in sections(FULL)]
    assert [("warns" in card) for card in cards] == marked
    assert all("open" in card for card, warns in zip(cards, marked, strict=True) if warns)


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
            for name in ("a", "b", "gone")
        }
    )
    images = (
        Image("a", "old", "up to date", ""),
        Image("b", "new", "built", "main.py changed", 7),
        Image("base", "x", "up to date", ""),
        Image("c", "first", "built", "new"),
    )
    found = dossier.images_of(Evidence(images=images), running)
    assert found == (
        ImageChange("b", "old", "new", "main.py changed", 7),
        ImageChange("c", None, "first", "new"),
        ImageChange("gone", "old", None, "the container is gone"),
    )
    assert dossier.images_of(Evidence(), running) is None


def test_requirements_are_compared_without_comments_and_order() -> None:
    before = b"# why\nb==1  # because\na==1\n"
    assert dossier.requirement_lines(before, b"a==1\nb==1\n") == ()
    assert dossier.requirement_lines(before, b"a==2\nb==1\nc\n") == ("- a==1", "+ a==2", "+ c")


def test_what_other_steps_left_is_found_in_folders_below(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "tests/dags.xml": '<testsuites><testsuite><testcase classname="a" name="one"/>'
            '<testcase name="two"><failure/></testcase><testcase name="three"><skipped/></testcase>'
            "</testsuite></testsuites>",
            "tests/coverage.xml": "<coverage/>",
            "images/images.json": '[{"name": "a", "tag": "t", "result": "built", "reason": "new", "size": 3}]',
        },
    )
    found = evidence.read(tmp_path)
    assert found.tests == (Suite("dags", 1, 1, 1, ("two",)),)
    assert found.images == (Image("a", "t", "built", "new", 3),)
    assert evidence.read(tmp_path / "nowhere") == Evidence()


@pytest.mark.parametrize(
    ("name", "content"), [("images.json", "{}"), ("images.json", "["), ("a.xml", "<"), ("dags.json", "[]")]
)
def test_what_is_left_half_written_is_an_error_with_its_place(tmp_path: Path, name: str, content: str) -> None:
    if content == "{}":
        content = '{"name": 1}'
    with pytest.raises(PipelineError) as error:
        evidence.read(write(tmp_path, {name: content}))
    assert error.value.where == str(tmp_path / name)


class Running(FakeAirflow):
    """An Airflow with work in flight."""

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        assert query["state"] == "running"
        member = "task_instances" if path.endswith("taskInstances") else "dag_runs"
        items = [{"dag_id": "orders"}] * (3 if member == "task_instances" else 1)
        return {member: items, "total_entries": len(items)}


def test_work_in_flight_is_counted_by_dag() -> None:
    assert in_flight.observe(Running()) == InFlight({"orders": 1}, {"orders": 3})


def left(project: Project, **dags: dict[str, Any]) -> None:
    """What the test of the DAGs leaves."""
    files = {"orders.py": hashlib.sha256((project.folder / "dags/orders.py").read_bytes()).hexdigest()}
    document = {"format": 1, "files": files, "dags": dags}
    (project.folder / "reports").mkdir(exist_ok=True)
    (project.folder / "reports/dags.json").write_text(json.dumps(document))


def orders(schedule: str) -> dict[str, Any]:
    return {"file": "orders.py", "schedule": schedule, "tasks": {"copy": {"operator": "Fargate"}}}


def test_the_difference_is_told_before_a_release(aws: Aws, project: Project) -> None:
    project.write({"requirements.txt": "pandas==1\n"})
    left(project, orders=orders("@daily"))
    aws.client("s3")
    project.sync(commit="1111111111111", code=1)  # moto has no MWAA to take the requirements
    project.write({"requirements.txt": None})
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
    assert any(line.startswith("In flight not known: the running Airflow cannot be asked") for line in told)
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
    project.write({"orders.py": "# edited after the tests\n"})
    project.sync()
    assert project.json(f"releases/{project.pointer()['release']}.json")["dags"] is None


def test_an_environment_that_is_not_deployed_yet_has_a_dossier_too(aws: Aws, project: Project) -> None:
    aws.client("cloudformation").delete_stack(StackName=f"{project.name}-dev-airflow")
    left(project, orders=orders("@daily"))
    done = project.run("diff", "dev", "--commit", "2222222222222")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "dev is not deployed yet; this is commit 2222222222" in said
    assert "Environment comes with this commit: all that follows is new" in said
    assert "new DAG orders" in done.stdout


def test_by_hand_what_only_the_pipelines_steps_know_is_said_to_be_in_its_own_dossier(project: Project) -> None:
    git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for command in ([*git, "init", "-q"], [*git, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(command, cwd=project.folder, check=True)
    hint = "the pipeline's own dossier has what is not known here: `pipeline status` shows the link"
    assert hint in " ".join(project.run("diff", "dev").stdout.split())
    assert hint not in " ".join(project.run("diff", "dev", "--commit", "2222222222222").stdout.split())
