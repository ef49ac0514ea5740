"""The registry's cache: a host that never built anything builds only what changed."""

import docker
import pytest

from tests.images.folders import write
from tests.images.project import TINY, Project

pytestmark = pytest.mark.docker

SLOW_THEN_COPY = f"FROM {TINY}\nRUN echo slow step; sleep 3; echo made > /made\nCOPY lib.txt /\n"


def forget(engine: docker.DockerClient, project: Project) -> None:
    """As on a new build host: no image of the project, no build cache."""
    for image in engine.images.list():
        for tag in image.tags:
            if f"/{project.name}/" in tag:
                engine.images.remove(tag, force=True)
    engine.images.prune({"dangling": True})
    engine.api.prune_builds()


def test_a_new_host_builds_only_what_changed(project: Project, engine: docker.DockerClient) -> None:
    write(project.folder / "containers", {"base/Dockerfile": SLOW_THEN_COPY})
    first = project.build()
    forget(engine, project)
    (project.folder / "containers/base/lib.txt").write_text("other")
    code, out, err = project.run("build")
    assert code == 0, out + err
    assert "importing cache manifest" in out
    assert "slow step" not in out.partition("building with")[2].replace("RUN echo slow step", "")
    second = project.images()
    assert second["base"]["digest"] != first["base"]["digest"]
    assert project.layers("base", first["base"]["tag"])[:2] == project.layers("base", second["base"]["tag"])[:2]
