"""Which images are rebuilt, and in which words."""

import base64
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from pipeline.images.content import VERSION, content_tag
from pipeline.images.inputs import FileInput, Inputs
from pipeline.images.plan import Image, Published, Rebuild, UpToDate, make_plan, missing
from pipeline.images.record import LONGEST, Record, differences, label, read_label
from pipeline.images.registry import AT_ONCE
from pipeline.images.report import plan_document, plan_lines
from pipeline.images.survey import survey
from pipeline.process import run
from tests.images.fakes import MemoryRegistry
from tests.images.folders import write

A, B = "a" * 64, "b" * 64
OLD = Inputs(
    ("linux/amd64",),
    arguments={"FLAVOUR": "slim"},
    files={"Dockerfile": FileInput("file", A), "src/main.py": FileInput("file", A), "run.sh": FileInput("file", A)},
)
IMAGE = Image("sha256:1", 7)


def recorded(inputs: Inputs) -> Record:
    """What comes back from an image's label."""
    value = label(inputs)
    assert value is not None
    found = read_label(value)
    assert found is not None
    return found


def published(*tags: str, before: Record | None = None, unread: str = "") -> Published:
    images = dict.fromkeys(tags, IMAGE)
    return Published("host/x", images, newest=tags[-1] if tags else "", recorded=before, unread=unread)


def reasons(inputs: Mapping[str, Inputs], has: Mapping[str, Published], name: str) -> tuple[str, ...]:
    (verdict,) = (verdict for verdict in make_plan(inputs, has).verdicts if verdict.name == name)
    return verdict.reasons if isinstance(verdict, Rebuild) else ()


def files(**changes: FileInput | None) -> Inputs:
    """OLD with other files; `__` stands for a slash, `_` for a dot."""
    paths = {path.replace("__", "/").replace("_", "."): each for path, each in changes.items()}
    merged: dict[str, FileInput | None] = {**OLD.files, **paths}
    return replace(OLD, files={path: each for path, each in merged.items() if each})


def test_content_that_the_registry_has_is_up_to_date() -> None:
    tag = content_tag(OLD)
    assert make_plan({"x": OLD}, {"x": published("other", tag)}).verdicts == (UpToDate("x", tag, IMAGE),)
    assert make_plan({"x": OLD}, {"x": published(tag, "newer")}).verdicts == (UpToDate("x", tag, IMAGE),)


DIFFERENCES = {
    "src/main.py changed": files(src__main_py=FileInput("file", B)),
    "src/more.py is new": files(src__more_py=FileInput("file", A)),
    "src/main.py was removed": files(src__main_py=None),
    "run.sh is now executable, was not executable": files(run_sh=FileInput("executable", A)),
    "run.sh is now a link, was not executable": files(run_sh=FileInput("link", A)),
    "target is now run, was the last stage": replace(OLD, target="run"),
    "build argument FLAVOUR changed": replace(OLD, arguments={"FLAVOUR": "full"}),
    "build argument FLAVOUR removed": replace(OLD, arguments={}),
    "build argument X added": replace(OLD, arguments={**OLD.arguments, "X": ""}),
    "platform linux/arm64 added": replace(OLD, platforms=("linux/amd64", "linux/arm64")),
    "now based on base": replace(OLD, base=("base", "1")),
}


@pytest.mark.parametrize("words", DIFFERENCES)
def test_each_difference_is_said_in_words(words: str) -> None:
    base = replace(OLD, platforms=("linux/s390x",))
    now = DIFFERENCES[words]
    inputs = {"base": base, "x": now}
    has = {"base": published(content_tag(base)), "x": published("0", before=recorded(OLD))}
    assert reasons(inputs, has, "x") == (words,)


def test_a_platform_that_goes_is_said() -> None:
    assert differences(OLD, replace(OLD, platforms=())) == ("platform linux/amd64 removed",)


@pytest.mark.parametrize(
    ("has", "said"),
    [
        (Published("", {}), ("new container: there is no repository for it yet",)),
        (Published("", {}, account="1"), ("new container: there is no repository for it yet in the account 1",)),
        (published(), ("new container",)),
        (published("0", before=recorded(OLD)), ("image is missing from the registry",)),
        (published("0"), ("content changed; the newest image does not record from what",)),
        (published("0", before=Record(OLD, VERSION - 1)), ("the encoding of tags changed",)),
        (
            published("0", unread="HTTP Error 503"),
            ("content changed; what the newest image was made from cannot be read: HTTP Error 503",),
        ),
    ],
    ids=[
        "no repository",
        "no repository in an account",
        "no image",
        "the same inputs",
        "nothing recorded",
        "another encoding",
        "unreadable",
    ],
)
def test_what_the_registry_has_decides_the_reason(has: Published, said: tuple[str, ...]) -> None:
    assert reasons({"x": OLD}, {"x": has}, "x") == said


BASED = replace(OLD, base=("base", "old"))


@pytest.mark.parametrize(
    ("base_is_there", "now", "said"),
    [
        (False, BASED, ("based on base, which is rebuilt",)),
        (True, BASED, ("based on base, which changed",)),
        (
            False,
            replace(files(src__main_py=FileInput("file", B)), base=("base", "new")),
            ("src/main.py changed", "based on base, which is rebuilt"),
        ),
        (True, replace(OLD, base=None), ("no longer based on base",)),
    ],
)
def test_a_base_is_a_reason(base_is_there: bool, now: Inputs, said: tuple[str, ...]) -> None:
    base = replace(OLD, target="base")
    tag = content_tag(base)
    wanted = replace(now, base=("base", tag)) if now.base else now
    has = {"base": published(tag) if base_is_there else published(), "x": published("0", before=recorded(BASED))}
    assert reasons({"base": base, "x": wanted}, has, "x") == said


def test_another_base_is_a_reason() -> None:
    other = replace(OLD, target="other")
    wanted = replace(OLD, base=("other", content_tag(other)))
    has = {"other": published(content_tag(other)), "x": published("0", before=recorded(BASED))}
    assert reasons({"other": other, "x": wanted}, has, "x") == ("based on other, was on base",)


def test_a_base_that_is_gone_does_not_rebuild_what_is_there() -> None:
    base = replace(OLD, target="base")
    wanted = replace(OLD, base=("base", content_tag(base)))
    has = {"base": published("0", before=recorded(base)), "x": published(content_tag(wanted))}
    assert missing({"base": base, "x": wanted}, has) == ["base"]
    assert [type(verdict) for verdict in make_plan({"base": base, "x": wanted}, has).verdicts] == [Rebuild, UpToDate]


def test_a_table_names_a_few_reasons_and_json_all_of_them() -> None:
    many = replace(OLD, files={f"{number}": FileInput("file", A) for number in range(9)})
    plan = make_plan({"x": many}, {"x": published("0", before=recorded(replace(OLD, files={})))})
    (line,) = plan_lines(plan)
    assert line.endswith("0 is new, 1 is new, 2 is new, 3 is new and 5 more")
    (entry,) = plan_document(plan)
    assert (entry["verdict"], len(entry["reasons"])) == ("rebuild", 9)


def test_values_of_build_arguments_stay_out_of_the_words() -> None:
    said = differences(OLD, replace(OLD, arguments={"FLAVOUR": "hunter2"}))
    assert "hunter2" not in " ".join(said)


def test_a_label_survives_names_that_are_no_text() -> None:
    odd = replace(OLD, files={"caf\udce9 ☕": FileInput("link", A)})
    assert list(recorded(odd).inputs.files) == ["caf\udce9 ☕"]


def test_a_label_names_the_version_of_the_encoding_and_an_older_label_had_the_first() -> None:
    assert recorded(OLD).version == VERSION
    document: dict[str, Any] = {"platforms": [], "target": "", "arguments": {}, "base": None, "files": {}}
    older = read_label(base64.b64encode(zlib.compress(json.dumps(document).encode())).decode())
    assert older is not None
    assert older.version == 1


def test_another_encoding_is_said_before_what_else_changed() -> None:
    has = {"x": published("0", before=Record(recorded(OLD).inputs, VERSION + 1))}
    wanted = files(src__main_py=FileInput("file", B))
    assert reasons({"x": wanted}, has, "x") == ("the encoding of tags changed", "src/main.py changed")


def test_a_plan_of_nothing_says_so() -> None:
    assert plan_lines(make_plan({}, {})) == ["no containers"]


def test_a_label_that_would_not_fit_on_a_command_line_is_left_out() -> None:
    files = {
        f"{number:x}/{number * 7919:x}": FileInput("file", f"{number * 2654435761:064x}"[::-1])
        for number in range(9000)
    }
    assert label(replace(OLD, files=files)) is None
    few = label(replace(OLD, files=dict(list(files.items())[:2000])))
    assert few is not None
    assert len(few) < LONGEST


@pytest.mark.parametrize("value", ["", "x", "eJwrAgAAAHkAeQ==", "e30="])
def test_a_label_that_somebody_else_wrote_is_no_record(value: str) -> None:
    assert read_label(value) is None


def test_what_several_images_record_is_read_at_once(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(AT_ONCE)]
    for name in names:
        write(tmp_path, {f"{name}/Dockerfile": "FROM scratch\n"})
    together = Barrier(AT_ONCE)

    class Slow(MemoryRegistry):
        def recorded(self, name: str, published: Published) -> Record | None:
            together.wait(timeout=10)
            return super().recorded(name, published)

    found = survey(tmp_path, Slow({name: {"old": {}} for name in names}))
    assert [verdict.name for verdict in found.plan.rebuilds] == names


def test_planning_imports_neither_docker_nor_what_checks_images() -> None:
    heavy = ("docker", "requests", "cyclonedx", "detect_secrets")
    probe = f"import sys, pipeline.images.plan_command; print([name for name in {heavy} if name in sys.modules])"
    assert run([sys.executable, "-c", probe]).strip() == "[]"
