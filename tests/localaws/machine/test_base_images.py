"""Stand-ins for base images, built and used for real."""

import io
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.machine.base_image_plan import PipSettings
from pipeline.localaws.machine.base_images import BaseImages, BuildBaseImages, HostSettings
from pipeline.localaws.machine.engine import Engine

pytestmark = pytest.mark.docker
DOCKERFILE = {"containers/base/Dockerfile": "FROM python:3.12-slim-bookworm AS packages\n"}


def test_an_image_that_is_there_is_left_as_it_is(docker_engine: Engine, base_images: BaseImages) -> None:
    docker_engine.client.images.build(fileobj=io.BytesIO(b"FROM scratch\nLABEL a=b\n"), tag="somebodys:1")
    provided = base_images.ensure({"Dockerfile": "FROM somebodys:1"})
    assert [(each.image, each.how) for each in provided] == [("somebodys:1", "present")]


def test_an_image_that_cannot_be_had_is_named_with_its_dockerfile(base_images: BaseImages) -> None:
    with pytest.raises(PipelineError, match=r"127\.0\.0\.1:9/nobody/has:this") as caught:
        base_images.ensure({"containers/base/Dockerfile": "FROM 127.0.0.1:9/nobody/has:this"})
    assert caught.value.where == "containers/base/Dockerfile"


def test_a_python_base_is_there_afterwards_and_pip_installs_in_a_build(
    docker_engine: Engine, base_images: BaseImages
) -> None:
    base_images.ensure(DOCKERFILE)
    text = b"FROM python:3.12-slim-bookworm\nRUN pip install six && python -c 'import six'\n"
    image, _ = docker_engine.client.images.build(fileobj=io.BytesIO(text), rm=True)
    assert image.id


def test_a_stand_in_says_so_and_is_made_again_only_when_the_host_changed(
    docker_engine: Engine, base_images: BaseImages, tmp_path: Path
) -> None:
    (first,) = base_images.ensure(DOCKERFILE)
    image = docker_engine.client.images.get("python:3.12-slim-bookworm")
    if "stand-in" not in image.labels:
        assert first.how in {"present", "pulled"}  # a machine that reaches the public registry
        return
    assert "stand-in for python:3.12-slim-bookworm" in image.labels["stand-in.message"]
    assert [each.how for each in base_images.ensure(DOCKERFILE)] == ["present"]
    other = HostSettings(b"other certificates", PipSettings())
    cache = base_images._cache.parent
    assert [each.how for each in BaseImages(docker_engine.client, cache, other, print).ensure(DOCKERFILE)] == [
        "stand-in"
    ]
    assert [each.how for each in base_images.ensure(DOCKERFILE)] == ["stand-in"]
    assert list(tmp_path.iterdir()) == []


def test_the_sources_of_a_build_bring_their_base_images_along(docker_engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "containers" / "new"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM 127.0.0.1:9/nobody/has:this\n")
    said: list[str] = []
    provide = BuildBaseImages(lambda: docker_engine.client)
    provide(tmp_path, said.append)
    assert said[-1].startswith("Base images: containers/new/Dockerfile: the base image 127.0.0.1:9/nobody/has:this")
    (folder / "Dockerfile").write_text("FROM python:3.13-bookworm\n")
    provide(tmp_path, said.append)
    assert docker_engine.client.images.get("python:3.13-bookworm").id
