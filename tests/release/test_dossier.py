"""The dossier: how it is told."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.release.commits import Between, Commit
from pipeline.release.dossier import Dossier, Files, ImageChange
from pipeline.release.dossier_headline import facts, headline, summary
from pipeline.release.dossier_page import page, text
from pipeline.release.dossier_sections import sections
from pipeline.release.environment import NotDeployedError
from pipeline.release.evidence import Suite
from pipeline.release.in_flight import InFlight
from pipeline.release.inquiry import inquire
from pipeline.release.stacks import Change, Compared, Stacks
from pipeline.release.structure import DagChange, DagDifference
from pipeline.release.tree import Tree, gather
from tests.release.values import FIRST, ORIGIN, release, write

UNREAD = Dossier(
    environment="prod",
    commit="abcdef0123456789",
    unread="access denied",
    commits_unknown="the environment could not be read",
    files=Files(added=("orders.py",)),
    dags=DagDifference(added=(DagChange("orders", ("in orders.py, schedule: none",)),)),
    images=(ImageChange("ingest", None, "bbb", "src/main.py changed"),),
    parts=None,
    requirements=None,
    drift=None,
    in_flight=InFlight(unknown="the environment could not be read"),
)
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
    stacks=Stacks(tasks=Compared((Change("cpu of ingest", "256", "512"),))),
    drift={"dags/a.py": "changed by hand since the last release"},
    tests=(Suite("dags", 12, 1, 2, ("orders test_it",)),),
    in_flight=InFlight({"orders": 1}, {"orders": 3}),
)


def test_everything_a_release_manager_asks_is_answered() -> None:
    told = list(text(FULL))
    assert told[0] == f"prod runs {FIRST} (commit c0ffee1); this is commit abcdef0123"
    states = {line[2:12].strip(): line[13:] for line in told if line[0] in " !" and line[2] != " "}
    assert list(states.items()) == [
        ("DAGs", "1 removed, 1 changed, 1 added"),
        ("Images", "1 changed (ingest)"),
        ("Stacks", "change 1 setting of tasks (cpu of ingest: 256 → 512)"),
        ("Workers", "will be replaced (GRACEFUL: tasks in flight can end, for up to 12 h)"),
        ("In flight", "1 DAG run, 3 tasks"),
        ("Drift", "1 file changed by hand, which the release undoes"),
        ("Tests", "12 passed, 1 failed, 2 skipped"),
        ("Commits", "2 commits by 2 authors, 1 taken back"),
        ("Files", "1 changed"),
    ]
    lines = [line.strip() for line in told]
    for line in (
        "schedule: @daily → @hourly",
        "ingest: aaa → bbb, 151 MB",
        "cpu of ingest: 256 → 512",
        "src/main.py changed",
        "+ pandas==2.2",
        "Bob, 2026-05-28 20:26 UTC, 2222222222",
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


def test_reports_older_than_the_files_here_are_not_counted_for_them() -> None:
    old, new = Suite("dags", 2, 0, 0, older=True), Suite("images", 3, 0, 0)
    both = {section.title: section for section in sections(replace(FULL, tests=(old, new)))}["Tests"]
    assert (both.state, both.warns) == ("3 passed, 0 failed; 1 report older than the files here", True)
    assert both.lines[0] == "dags: 2 passed, 0 failed, 0 skipped; older than the files here"
    alone = {section.title: section for section in sections(replace(FULL, tests=(old,)))}["Tests"]
    assert (alone.state, alone.warns) == ("not known: the reports are older than the files here", True)


def test_an_environment_that_cannot_be_read_is_no_empty_one() -> None:
    assert not UNREAD.is_empty
    assert headline(UNREAD).startswith("prod could not be read")
    first = sections(UNREAD)[0]
    assert (first.title, first.warns) == ("Environment", True)


def test_of_an_environment_that_cannot_be_read_no_difference_is_asserted() -> None:
    told = {section.title: section.state for section in sections(UNREAD)[1:]}
    assert all(state.startswith("not known") for title, state in told.items() if title != "Tests"), told
    assert told["DAGs"] == "not known; this commit has 1"
    assert told["Images"] == "not known; this commit has 1 (ingest)"
    assert {told[title] for title in ("Stacks", "Workers", "In flight", "Drift", "Commits")} == {"not known"}
    document = UNREAD.document()
    unknown = ("commits", "files", "dags", "images", "stacks", "parts", "requirements", "replaces_workers", "drift")
    assert {name: document[name] for name in unknown} == dict.fromkeys(unknown)


def test_where_nothing_is_deployed_the_parts_are_new(tmp_path: Path) -> None:
    tree = gather(write(tmp_path, {"a.py": "", "requirements.txt": "pandas==2\n", "startup.sh": "true"}))
    for error, parts, requirements in (
        (NotDeployedError("no stack"), {"requirements.txt": "new", "startup.sh": "new"}, ["+ pandas==2"]),
        (PipelineError("cannot assume the role"), None, None),
    ):
        document = inquired(tmp_path, tree, error).document()
        assert (document["parts"], document["requirements"]) == (parts, requirements)
        assert document["replaces_workers"] is (None if parts is None else True)
        assert document["drift"] == (None if parts is None else {})
    found = {section.title: section for section in sections(inquired(tmp_path, tree, NotDeployedError("no stack")))}
    assert found["Workers"].state == "come with this commit; the first release replaces them once, for this"
    assert found["Workers"].lines == ("requirements.txt: new", "  + pandas==2", "startup.sh: new")


def inquired(folder: Path, tree: Tree, error: PipelineError) -> Dossier:
    def read() -> Any:
        raise error

    return inquire(
        "prod", ORIGIN, read=read, tree=lambda: tree, sources=list, left=folder / "none", replacement="GRACEFUL"
    )


def test_an_environment_that_is_not_deployed_yet_is_not_called_unreadable() -> None:
    bare = Dossier("prod", "abcdef0123456789", deployed=False)
    assert not bare.is_empty
    assert headline(bare).startswith("prod is not deployed yet")
    assert "could not be read" not in summary(bare)
    assert [section.title for section in sections(bare) if section.warns] == []


def test_what_is_not_committed_is_said_to_be() -> None:
    running = release(uncommitted=True)
    found = replace(FULL, running=running, uncommitted=True)
    assert headline(found) == (
        f"prod runs {FIRST} (commit c0ffee1 with uncommitted changes); "
        "this is commit abcdef0123 with uncommitted changes"
    )
    assert page(found).count("with uncommitted changes") == 3, "twice in the title, once of what runs"
    assert (found.document()["uncommitted"], found.document()["running"]["uncommitted"]) == (True, True)
    assert "uncommitted" not in page(FULL)


def test_times_are_told_with_their_zone() -> None:
    berlin = timezone(timedelta(hours=1))
    found = replace(FULL, written=datetime(2026, 11, 8, 0, 30, tzinfo=berlin))
    assert dict(facts(found)) == {
        "Runs now": f"commit c0ffee1, since 2026-11-07 10:15 UTC, not verified in Airflow ({FIRST})",
        "As of": "2026-11-07 23:30 UTC",
    }
    words = Page(page(found)).words
    assert all(value in words for _, value in facts(found))


def test_the_summary_is_one_line_whatever_is_in_it() -> None:
    why = "git says:\nfatal: bad object\r\n"
    line = summary(replace(FULL, commits=None, commits_unknown=why))
    assert "commits: not known: git says: fatal: bad object;" in line
    assert line.splitlines() == [line]
    assert any(
        told.endswith("not known: git says: fatal: bad object")
        for told in text(replace(FULL, commits=None, commits_unknown=why))
    )


def test_a_value_of_several_lines_adds_no_section_to_the_text() -> None:
    forged = Change("variable KEY of ingest", "1\n! Workers    stay", "2\r\n  Drift      none")
    told = list(text(replace(FULL, stacks=Stacks(tasks=Compared((forged,))))))
    assert not any("\n" in line for line in told)
    assert "      variable KEY of ingest: 1 ! Workers    stay → 2   Drift      none" in told


def test_a_summary_that_is_cut_has_said_first_what_warns() -> None:
    line = summary(replace(FULL, commits=None, commits_unknown="y" * 2000))
    assert "workers: will be replaced" in line
    assert "tests: 12 passed, 1 failed" in line


def test_rare_signs_count_twice_in_a_summary_as_they_may_with_aws() -> None:
    line = summary(replace(FULL, commits=None, commits_unknown="\N{OWL}" * 700))
    assert len(line.encode("utf-16-le")) // 2 in (699, 700)
    assert line.endswith("\N{OWL}…")


def test_what_is_not_shown_is_counted() -> None:
    many = tuple(f"{number:03}.py" for number in range(60))
    changes = tuple(DagChange(name, ("moved",)) for name in many)
    commits = tuple(Commit(f"{number:040}", (), "Ann", 0, "One") for number in range(70))
    found = replace(
        FULL,
        files=Files(added=many, removed=many, changed=many),
        dags=DagDifference(added=changes, removed=changes),
        commits=Between(commits, commits),
        drift=dict.fromkeys(many, "changed by hand"),
        tests=(Suite("dags", 0, 25, 0, ("one",)),),
        images=tuple(ImageChange(f"c{number}", None, "t", "") for number in range(7)),
    )
    told = list(text(found))
    assert [line.strip() for line in told].count("… and 10 more") == 3 + 2 + 1
    assert [line.strip() for line in told].count("… and 20 more") == 2
    assert "        … and 24 more" in told
    assert "  Images     7 new (c0, c1, c2, c3, c4 and 2 more)" in told


def test_the_summary_fits_an_approval_and_names_every_section() -> None:
    line = summary(FULL)
    assert len(line) <= 700
    assert "\n" not in line
    for said in ("2 commits by 2 authors", "workers: will be replaced", "in flight: 1 DAG run, 3 tasks"):
        assert said in line
    assert len(summary(replace(FULL, commits=None, commits_unknown="y" * 2000))) == 700


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.ids: set[str] = set()
        self.stack: list[str] = []
        self.words = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data if "style" not in self.stack else ""


def test_the_page_needs_nothing_else_and_is_made_for_a_phone() -> None:
    found = Page(page(FULL))
    assert found.stack == [], "every element is closed"
    assert all(link.startswith("#") for link in found.outside), "within the page only"
    assert {link.removeprefix("#") for link in found.outside} == found.ids, "and somewhere"
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


def test_everything_is_said_at_the_top_and_what_needs_a_look_is_marked_and_open() -> None:
    content = page(FULL)
    cards = re.findall(r"<details[^>]*>", content)
    marked = [section.warns for section in sections(FULL)]
    assert [("warns" in card) for card in cards] == marked
    assert all("open" in card for card, warns in zip(cards, marked, strict=True) if warns)
    top = content[: content.index("<details")]
    for section in sections(FULL):
        row = re.search(f'<div( class="look")?><b>(⚠ )?<a href=[^>]*>{section.title}</a></b><span>(.*)</span>', top)
        assert row is not None
        assert [bool(row[1]), bool(row[2]), row[3]] == [section.warns, section.warns, section.state]


def test_what_has_nothing_more_to_say_is_said_at_the_top_alone() -> None:
    bare = Dossier("prod", "abcdef0123456789")
    content = page(bare)
    assert "<details" not in content
    assert "<a " not in content
    assert all(content.count(f"<b>{section.title}</b>") == 1 for section in sections(bare))


def test_no_difference_is_said_only_of_what_is_known() -> None:
    bare = Dossier("prod", "abcdef0123456789")
    said = (
        "no difference was found: DAGs, requirements, Airflow's settings, tasks stay as they are; "
        "whether images change is not known"
    )
    assert said in Page(page(bare)).words
    assert said in list(text(bare))
    known = replace(bare, images=())
    everything = "no difference was found: DAGs, requirements, Airflow's settings, images, tasks stay as they are"
    assert everything in list(text(known))
    dark = replace(known, stacks=Stacks(Compared(unknown="MWAA refuses"), Compared(unknown="ECS refuses")))
    assert (
        "no difference was found: DAGs, requirements, images stay as they are; "
        "whether Airflow's settings and tasks change is not known"
    ) in list(text(dark))


def test_no_text_can_turn_a_line_around_or_drive_a_terminal() -> None:
    spoofed = "\u202eexe.gnp\x1b[2J\ud800"
    found = replace(FULL, running=None, commits=Between((Commit("1" * 40, (), spoofed, 0, spoofed),)))
    found = replace(found, commit=spoofed, drift={spoofed: spoofed})
    for told in (page(found), summary(found)):
        assert not set(spoofed) - set("exe.gnp[2J") & set(told)
        told.encode()
    assert "\ufffdexe.gnp\ufffd[2J\ufffd" in page(found)


def test_text_and_background_contrast_as_wcag_aa_asks() -> None:
    light, dark = (dict(re.findall(r"--(\w+):(#\w+)", style)) for style in page(FULL).split("@media", 1))
    for colours in (light, dark):
        for front, back in product(("ink", "quiet", "warn"), ("page", "card", "warned")):
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


def contrast(front: str, back: str) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted(map(_luminance, (front, back)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) > 4 else "".join(2 * digit for digit in colour[1:])
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_long_list_is_closed_so_that_what_is_below_it_is_found() -> None:
    gone = tuple(DagChange(f"dag{number}", ("in a.py",)) for number in range(30))
    content = page(replace(FULL, dags=DagDifference(removed=gone)))
    assert '<details id="dags" class="card warns"><summary class="head"><b>⚠ DAGs</b>30 removed' in content
