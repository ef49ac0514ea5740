"""Carrying out a plan: order, limits, failures, and what is said of each image."""

import json
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from pipeline.errors import PipelineError
from pipeline.images.build import Build
from pipeline.images.carry_out import failure
from pipeline.images.checks.finding import Finding
from pipeline.images.job import Origin, order
from pipeline.images.maker import Maker
from pipeline.images.outcome import Built, Failed, Outcome, Skipped
from pipeline.images.plan import Image, UpToDate
from pipeline.images.record import LABEL, read_label
from pipeline.images.report import images_document, summary
from pipeline.images.results import Results, not_begun
from pipeline.images.survey import survey
from tests.images.fakes import HOST, MemoryBuilder, MemoryJudge, MemoryRegistry
from tests.images.folders import BASED, PLAIN, write

# base ← a, b; b ← c; alone
TREE = {
    "base/Dockerfile": PLAIN,
    "base/x": "",
    "alone/Dockerfile": "FROM debian:12\nCOPY . /\n",
    "alone/x": "",
    **{f"{name}/Dockerfile": BASED for name in "abc"},
    **{f"{name}/x": name for name in "abc"},
    "a/container.toml": 'base = "base"',
    "b/container.toml": 'base = "base"',
    "c/container.toml": 'base = "b"',
}
NAMES = ("alone", "base", "a", "b", "c")


class World:
    """A tree, a registry and a builder; `build` does what `pipeline images build` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = write(folder, TREE)
        self.registry = MemoryRegistry({name: {} for name in NAMES})
        self.builder = MemoryBuilder(self.registry)
        self.judge = MemoryJudge()
        self.lines: list[tuple[str, str]] = []
        self.stop = Event()

    def build(self, at_once: int = 2) -> dict[str, Outcome]:
        found = survey(self.folder, self.registry)
        maker = Maker(
            self.builder,
            self.registry,
            self.say,
            origin=Origin("codecommit::eu-west-1://etl", "c0ffee"),
            judge=self.judge,
            secrets={"pip.conf": Path("/pip.conf"), "other": Path("/other")},
        )
        build = Build(maker, self.say, self.stop)
        return {outcome.name: outcome for outcome in build.run(found.plan, found.jobs(), at_once)}

    def say(self, name: str, line: str) -> None:
        self.lines.append((name, line))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "containers")


def kinds(outcomes: dict[str, Outcome]) -> dict[str, type[Outcome]]:
    return {name: type(outcome) for name, outcome in outcomes.items()}


def test_everything_is_built_and_pushed_after_its_base(world: World) -> None:
    outcomes = world.build()
    assert kinds(outcomes) == dict.fromkeys(NAMES, Built)
    for name, base in (("a", "base"), ("b", "base"), ("c", "b")):
        assert world.builder.events.index(f"build {name}") > world.builder.events.index(f"push {base}")
    tag = next(iter(world.registry.tags["b"]))
    assert world.builder.orders["c"].arguments == {"BASE_IMAGE": f"{HOST}/etl/b@sha256:b-{tag}"}
    assert world.builder.orders["c"].labels["org.opencontainers.image.base.name"] == f"{HOST}/etl/b:{tag}"


def test_a_base_that_was_there_is_named_by_its_digest_too(world: World) -> None:
    world.build()
    write(world.folder, {"c/x": "changed"})
    world.build()
    tag = next(iter(world.registry.tags["b"]))
    assert world.builder.orders["c"].arguments == {"BASE_IMAGE": f"{HOST}/etl/b@sha256:b-{tag}"}


def test_a_base_whose_digest_is_not_known_is_named_by_its_tag(world: World) -> None:
    job = survey(world.folder, world.registry).jobs()["c"]
    (part,) = job.parts
    told = order(job, part, world.folder, origin=Origin(), secrets={}, now=datetime.now(UTC))
    assert (part.base_digest, told.arguments) == ("", {"BASE_IMAGE": part.base_image})
    assert part.base_image.startswith(f"{HOST}/etl/b:")


def test_a_second_run_builds_nothing_and_asks_once(world: World) -> None:
    world.build()
    world.registry.asked.clear()
    world.builder.events.clear()
    assert kinds(world.build()) == dict.fromkeys(NAMES, UpToDate)
    assert world.registry.asked == ["published"]
    assert world.builder.events == []


def test_only_what_changed_and_what_is_based_on_it_is_built(world: World) -> None:
    world.build()
    (world.folder / "b/x").write_text("changed")
    outcomes = world.build()
    assert {name for name, outcome in outcomes.items() if isinstance(outcome, Built)} == {"b", "c"}
    reasons = {name: outcome.reason for name, outcome in outcomes.items() if isinstance(outcome, Built)}
    assert reasons == {"b": "x changed", "c": "based on b, which is rebuilt"}


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_no_more_are_built_at_once_than_allowed_and_no_fewer_than_possible(world: World, at_once: int) -> None:
    together = threading.Barrier(min(at_once, 2), timeout=10)

    def meet(name: str) -> None:
        if name in ("a", "b"):
            together.wait()

    world.builder.while_building = meet
    world.build(at_once)
    assert min(at_once, 2) <= world.builder.most_at_once <= at_once


def test_when_one_fails_the_independent_ones_still_finish(world: World) -> None:
    world.builder.broken = frozenset({"b"})
    outcomes = world.build()
    assert kinds(outcomes) == {"alone": Built, "base": Built, "a": Built, "b": Failed, "c": Skipped}
    failed = outcomes["b"]
    assert isinstance(failed, Failed)
    assert "failed at: RUN false" in str(failed.error)
    assert "it ended with code 1" in str(failed.error)
    assert ("c", "skipped: its base b failed") in world.lines


def test_when_a_base_fails_all_that_are_based_on_it_are_skipped(world: World) -> None:
    world.builder.broken = frozenset({"base"})
    assert kinds(world.build()) == {"alone": Built, "base": Failed, "a": Skipped, "b": Skipped, "c": Skipped}
    world.builder.broken = frozenset()
    outcomes = world.build()
    assert kinds(outcomes) == {"alone": UpToDate, **dict.fromkeys(("base", "a", "b", "c"), Built)}


def test_a_tag_that_somebody_else_pushed_meanwhile_is_used_and_said(world: World) -> None:
    def other(name: str) -> None:
        if name == "alone":
            tag = world.builder.orders["alone"].image.rpartition(":")[2]
            world.registry.tags["alone"][tag] = {}

    world.builder.while_building = other
    outcome = world.build()["alone"]
    assert isinstance(outcome, Built)
    assert not outcome.by_us
    assert ("alone", "somebody else pushed this tag meanwhile; theirs is used") in world.lines


def test_a_push_that_the_registry_does_not_know_of_is_a_failure(world: World) -> None:
    world.builder.loses_pushes = True
    failed = world.build()["alone"]
    assert isinstance(failed, Failed)
    assert "the registry does not have the tag" in failed.error.what


def test_an_image_carries_standard_labels_and_what_it_was_made_from(world: World) -> None:
    world.build()
    labels = world.builder.orders["c"].labels
    assert labels["org.opencontainers.image.title"] == "c"
    assert labels["org.opencontainers.image.revision"] == "c0ffee"
    assert labels["org.opencontainers.image.source"] == "codecommit::eu-west-1://etl"
    assert labels["org.opencontainers.image.base.name"].startswith(f"{HOST}/etl/b:")
    assert world.builder.orders["alone"].labels["org.opencontainers.image.base.name"] == "debian:12"
    record = read_label(labels[LABEL])
    assert record is not None
    assert sorted(record.inputs.files) == ["Dockerfile", "container.toml", "x"]


def test_an_image_of_another_commit_than_the_others_says_so(world: World) -> None:
    job = survey(world.folder, world.registry).jobs()["a"]
    origin = Origin(revision="c0ffee", revisions={"a": "c0ffee-dirty"})
    told = order(job, job.parts[0], world.folder, origin=origin, secrets={}, now=datetime.now(UTC))
    assert told.labels["org.opencontainers.image.revision"] == "c0ffee-dirty"


def test_no_label_is_left_to_be_inherited_from_the_base(world: World) -> None:
    found = survey(world.folder, world.registry)
    maker = Maker(world.builder, world.registry, world.say, origin=Origin(), judge=world.judge, secrets={})
    Build(maker, world.say, Event()).run(found.plan, found.jobs(), 1)
    assert set(world.builder.orders["a"].labels) == set(world.builder.orders["base"].labels)
    assert world.builder.orders["a"].labels["org.opencontainers.image.revision"] == ""


def test_the_build_is_given_what_the_tag_counts(world: World) -> None:
    write(world.folder, {"a/.dockerignore": "secret", "a/secret": "1"})
    world.build()
    assert world.builder.contexts["a"] == [".dockerignore", "Dockerfile", "container.toml", "x"]


def test_an_interrupt_stops_what_runs_and_is_passed_on(world: World) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    world.builder.while_building = interrupted
    with pytest.raises(KeyboardInterrupt):
        world.build()
    assert world.stop.is_set()


def test_a_container_without_a_repository_is_planned_but_not_built(world: World) -> None:
    del world.registry.tags["alone"]
    found = survey(world.folder, world.registry)
    assert found.plan.rebuilds[0].reasons == ("new container: there is no repository for it yet",)
    with pytest.raises(PipelineError, match="no repository") as error:
        found.jobs()
    assert error.value.where == "alone"


def outcomes() -> Iterable[Outcome]:
    image = Image("sha256:1", 9)
    return (
        UpToDate("a", "t", image),
        Built("b", "t", "x changed", image, 1.26),
        Failed("c", "t", "x changed", PipelineError("no"), 2.0),
        Skipped("d", "t", "based on c, which is rebuilt", "c"),
        replace(Built("e", "t", "x changed", image, 0.0), by_us=False),
    )


def test_the_summary_is_one_line() -> None:
    assert summary(tuple(outcomes())) == "2 built (b, e), 1 failed (c), 1 skipped (d), 1 up to date (a)"
    assert summary(()) == "no containers"


def test_images_json_has_an_entry_for_every_container() -> None:
    document = images_document(tuple(outcomes()), bases=["a"])
    assert [entry["result"] for entry in document] == ["up to date", "built", "failed", "skipped", "built"]
    assert document[1] == {
        "name": "b",
        "tag": "t",
        "digest": "sha256:1",
        "size": 9,
        "result": "built",
        "reason": "x changed",
        "seconds": 1.3,
        "findings": [],
        "task": True,
    }
    assert [entry["name"] for entry in document if not entry["task"]] == ["a"]
    assert (document[2]["digest"], document[3]["reason"]) == (None, "its base c failed")


def test_the_outcome_of_a_denied_container_is_a_failure_with_the_finding(world: World) -> None:
    denied = Finding("secrets", "base/.env", "a file of this name holds secrets", denied=True)
    warned = Finding("lint", "alone/Dockerfile:1", "DL3006 tag the version", denied=False)
    world.judge.before_building = {"base": (denied,), "alone": (warned,)}
    made = world.build()
    assert kinds(made)["base"] is Failed
    assert kinds(made)["a"] is Skipped
    assert isinstance(made["alone"], Built)
    assert made["alone"].findings == (warned,)
    assert "build base" not in world.builder.events
    assert ("base", "error: base/.env: a file of this name holds secrets [secrets]") in world.lines
    assert images_document(tuple(made.values()))[0]["findings"][0]["what"] == "DL3006 tag the version"


def test_an_image_that_is_denied_after_it_is_built_is_not_pushed(world: World) -> None:
    world.judge.in_the_image = {"alone": (Finding("sbom", "alone", "no SBOM can be made", denied=True),)}
    assert kinds(world.build())["alone"] is Failed
    assert world.registry.tags["alone"] == {}
    world.judge.in_the_image = {}
    assert kinds(world.build())["alone"] is Built


def test_a_build_gets_only_the_secrets_it_mounts_and_the_newest_image_as_cache(world: World) -> None:
    world.registry.tags["alone"] = {"old": {}}
    write(world.folder, {"alone/Dockerfile": "FROM x\nRUN --mount=type=secret,id=pip.conf pip install y\nCOPY . /\n"})
    world.build()
    assert world.builder.orders["alone"].secrets == {"pip.conf": Path("/pip.conf")}
    assert world.builder.orders["alone"].cache == f"{HOST}/etl/alone:old"
    assert (world.builder.orders["base"].secrets, world.builder.orders["base"].cache) == ({}, "")


def test_a_base_with_a_digest_is_named_with_it(world: World) -> None:
    write(world.folder, {"alone/Dockerfile": "FROM debian:12@sha256:abc\nCOPY . /\n"})
    world.build()
    labels = world.builder.orders["alone"].labels
    assert labels["org.opencontainers.image.base.name"] == "debian:12"
    assert labels["org.opencontainers.image.base.digest"] == "sha256:abc"
    assert labels["org.opencontainers.image.version"] == world.builder.orders["alone"].image.rpartition(":")[2]


@pytest.mark.parametrize(
    ("dockerfile", "declared", "name", "digest"),
    [
        ("FROM debian:12 AS run\nFROM alpine:3 AS test\n", 'target = "run"', "debian:12", ""),
        ("ARG V=12\nARG B=debian:${V}@sha256:abc\nFROM ${B}\n", "", "debian:12", "sha256:abc"),
        ("ARG V=12\nFROM debian:$V\n", 'arguments = { V = "13" }', "debian:13", ""),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS build\nFROM debian:12\n", 'base = "base"', "debian:12", ""),
        ("ARG V\nFROM debian:$V\n", "", "debian:$V", ""),
    ],
)
def test_the_base_in_the_labels_is_the_shipped_stages(
    world: World, dockerfile: str, declared: str, name: str, digest: str
) -> None:
    write(world.folder, {"alone/Dockerfile": f"{dockerfile}COPY . /\n", "alone/container.toml": declared})
    world.build()
    labels = world.builder.orders["alone"].labels
    assert labels["org.opencontainers.image.base.name"] == name
    assert labels["org.opencontainers.image.base.digest"] == digest


def test_the_digest_of_our_own_base_is_in_the_labels_whether_it_was_there_or_is_new(world: World) -> None:
    world.build()
    tag = next(iter(world.registry.tags["base"]))
    assert world.builder.orders["a"].labels["org.opencontainers.image.base.digest"] == f"sha256:base-{tag}"
    write(world.folder, {"a/x": "changed"})
    world.build()
    assert world.builder.orders["a"].labels["org.opencontainers.image.base.digest"] == f"sha256:base-{tag}"


def test_labels_that_cannot_be_read_are_no_reason_not_to_build(world: World) -> None:
    world.build()
    write(world.folder, {"alone/x": "changed"})
    world.registry.tells_no_labels = True
    made = world.build()["alone"]
    assert isinstance(made, Built)
    assert made.reason.endswith(
        "what the newest image was made from cannot be read: the registry cannot be asked: HTTP Error 503"
    )


def test_a_build_that_never_began_leaves_images_json_and_a_summary_too(world: World, tmp_path: Path) -> None:
    world.build()
    write(world.folder, {"c/x": "changed"})
    found = survey(world.folder, world.registry)
    results = Results(tmp_path / "out/images.json", tmp_path / "out/summary", bases=["base"])
    results.write(not_begun(found.plan, PipelineError("no Docker engine answers")), {})
    assert (tmp_path / "out/summary").read_text() == "1 failed (c), 4 up to date (alone, base, a, b)\n"
    entries = {each["name"]: each for each in json.loads((tmp_path / "out/images.json").read_text())}
    assert (entries["c"]["result"], entries["c"]["digest"], entries["a"]["result"]) == ("failed", None, "up to date")
    assert [name for name, each in entries.items() if not each["task"]] == ["base"]


def test_what_a_scan_found_is_in_images_json_and_fails_the_build_only_when_denied() -> None:
    built = Built("x", "t", "new container", Image("d", 1), 1)
    for denied in (False, True):
        found = {"x": (Finding("scan", "x", "the registry's scan found 1 HIGH", denied=denied, mend="See it."),)}
        assert images_document((built,), found)[0]["findings"][0]["denied"] is denied
        error = failure((built,), found)
        assert (error is not None) is denied
        assert error is None or error.what == (
            "in the registry, but denied: x\n\nx: the registry's scan found 1 HIGH\nSee it."
        )
    absent = Failed("y", "t", "r", PipelineError("no"), 1)
    both = failure((built, absent), {"x": (Finding("scan", "x", "found", denied=True),)})
    assert both is not None
    assert both.what.startswith("not in the registry: y; in the registry, but denied: x")
