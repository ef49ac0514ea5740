"""Images for several platforms: built one by one, pushed under tags of their own, joined at the end."""

import json
from pathlib import Path
from threading import Event

import pytest

from pipeline.images.build import Build
from pipeline.images.containers import discover
from pipeline.images.content import all_inputs, content_tag
from pipeline.images.image_index import image_index
from pipeline.images.job import Origin
from pipeline.images.maker import Maker
from pipeline.images.survey import survey
from tests.images.fakes import MemoryBuilder, MemoryJudge, MemoryRegistry
from tests.images.folders import BASED, PLAIN, write
from tests.images.project import Project

BOTH = 'other_architectures = ["ARM64"]\n'
ON_ONE_BASE = {
    "base/Dockerfile": PLAIN,
    "base/x": "",
    "base/container.toml": BOTH,
    "both/Dockerfile": BASED,
    "both/x": "",
    "both/container.toml": f'base = "base"\n{BOTH}',
    "one/Dockerfile": BASED,
    "one/x": "",
    "one/container.toml": 'base = "base"\n',
}


@pytest.mark.docker
def test_an_image_for_two_platforms_is_one_tag(project: Project) -> None:
    # Nothing is run: this machine need not know the other platform.
    write(
        project.folder / "containers",
        {
            "base/Dockerfile": "FROM scratch\nCOPY lib.txt /\n",
            "base/container.toml": BOTH,
            "child/Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY src /src\n",
            "child/container.toml": f'base = "base"\n{BOTH}',
        },
    )
    built = project.build()
    for name in ("base", "child"):
        tag = built[name]["tag"]
        assert sorted(project.tags(name)) == [tag, f"{tag}-amd64", f"{tag}-arm64"]
        answer = project.ecr.batch_get_image(repositoryName=f"{project.name}/{name}", imageIds=[{"imageTag": tag}])
        index = json.loads(answer["images"][0]["imageManifest"])
        assert {each["platform"]["architecture"]: each["digest"] for each in index["manifests"]} == {
            architecture: project.tags(name)[f"{tag}-{architecture}"] for architecture in ("amd64", "arm64")
        }
    for architecture in ("amd64", "arm64"):  # both were built in this very run
        labels = project.labels("child", f"{built['child']['tag']}-{architecture}")
        base = project.tags("base")[f"{built['base']['tag']}-{architecture}"]
        assert labels["org.opencontainers.image.base.digest"] == base
    assert project.reasons() == {"base": [], "child": []}

    (project.folder / "containers/child/container.toml").write_text('base = "base"\n')
    assert project.reasons()["child"] == ["platform linux/arm64 removed", "container.toml changed"]
    assert project.build()["child"]["result"] == "built"


@pytest.mark.docker
def test_a_build_cut_after_the_first_platform_is_completed(project: Project) -> None:
    write(
        project.folder / "containers",
        {
            "base/Dockerfile": "FROM scratch\nCOPY lib.txt /\n",
            "base/container.toml": BOTH,
            "child/Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY src /src\n",
        },
    )
    tag = next(entry for entry in json.loads(project.run("plan", "--json")[1]) if entry["name"] == "base")["tag"]
    project.build()
    for gone in (tag, f"{tag}-arm64"):
        project.ecr.batch_delete_image(repositoryName=f"{project.name}/base", imageIds=[{"imageTag": gone}])
    assert list(project.tags("base")) == [f"{tag}-amd64"]
    code, out, err = project.run("build")
    assert code == 0, err
    assert "linux/amd64 was pushed by an earlier build" in out
    assert sorted(project.tags("base")) == [tag, f"{tag}-amd64", f"{tag}-arm64"]


def test_each_platform_has_its_own_base_and_its_own_cache(tmp_path: Path) -> None:
    write(tmp_path, ON_ONE_BASE)
    registry = MemoryRegistry({"base": {}, "both": {"old": {}, "old-arm64": {}}, "one": {"old-amd64": {}, "old": {}}})
    found = survey(tmp_path, registry)
    jobs = found.jobs()
    tags = {verdict.name: verdict.tag for verdict in found.plan.verdicts}
    host = "registry.test/etl"
    assert [part.image for part in jobs["both"].parts] == [
        f"{host}/both:{tags['both']}-amd64",
        f"{host}/both:{tags['both']}-arm64",
    ]
    assert [part.base_image for part in jobs["both"].parts] == [
        f"{host}/base:{tags['base']}-amd64",
        f"{host}/base:{tags['base']}-arm64",
    ]
    (one,) = jobs["one"].parts
    assert (one.tag, one.base_image) == (tags["one"], f"{host}/base:{tags['base']}-amd64")
    assert one.cache == f"{host}/one:old-amd64"


def test_each_platform_is_labelled_with_the_digest_of_its_own_base_that_the_same_run_built(tmp_path: Path) -> None:
    write(tmp_path, ON_ONE_BASE)
    registry = MemoryRegistry({"base": {}, "both": {}, "one": {}})
    builder = MemoryBuilder(registry)
    found = survey(tmp_path, registry)
    maker = Maker(builder, registry, lambda _name, _line: None, origin=Origin(), judge=MemoryJudge(), secrets={})
    Build(maker, lambda _name, _line: None, Event()).run(found.plan, found.jobs(), 1)
    base = content_tag(found.inputs["base"])
    for name, architectures in (("both", ("amd64", "arm64")), ("one", ("amd64",))):
        labels = [labels for tag, labels in registry.tags[name].items() if tag != content_tag(found.inputs["both"])]
        assert [each["org.opencontainers.image.base.digest"] for each in labels] == [
            f"sha256:base-{base}-{architecture}" for architecture in architectures
        ]
        last = f"registry.test/etl/base@sha256:base-{base}-{architectures[-1]}"
        assert builder.orders[name].arguments == {"BASE_IMAGE": last}


def test_a_platform_more_is_another_image(tmp_path: Path) -> None:
    write(tmp_path, {"x/Dockerfile": "FROM scratch\n", "x/container.toml": BOTH})
    (inputs,) = all_inputs(discover(tmp_path)).values()
    assert inputs.platforms == ("linux/amd64", "linux/arm64")


def test_an_index_is_the_same_for_the_same_images() -> None:
    one = '{"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}'
    two = '{"config": {}}'
    index = image_index({"linux/arm64/v8": one, "linux/amd64": two})
    assert index == image_index({"linux/amd64": two, "linux/arm64/v8": one})
    members = json.loads(index)["manifests"]
    assert [member["platform"] for member in members] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert members[0]["size"] == len(two)
    assert members[1]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
