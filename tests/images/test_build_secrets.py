"""Build secrets: they reach the steps that mount them, and are in no layer, no history and no log."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import docker
import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.images.build_secrets import secret_files
from pipeline.images.dockerfile import parse
from pipeline.settings import BuildSecret
from tests.images.folders import write
from tests.images.project import TINY, Project

if TYPE_CHECKING:
    from docker.models.images import Image

PASSWORD = "correct-horse-battery"  # nosec
INDEX = f"[global]\nindex-url = https://user:{PASSWORD}@pypi.corp.test/simple\n"
# What pip would do with both; the first lines that a secret is there, its size, and what a layer may keep of it.
MOUNTS = (
    f"FROM {TINY}\nRUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem "
    "test -s /etc/pip.conf && read ca < /run/secrets/ca.pem && echo ca is $ca\nCOPY lib.txt /\n"
)


@pytest.mark.docker
def test_a_secret_reaches_the_build_and_nothing_else(project: Project, engine: docker.DockerClient) -> None:
    write(project.folder, {"containers/base/Dockerfile": MOUNTS, "certs/ca.pem": "CORPORATE\n", "pip.conf": INDEX})
    project.configure(build_secrets={"ca.pem": {"file": "certs/ca.pem"}, "pip.conf": {"secret": "etl/pip"}})
    code, out, err = project.run("build", "--build-secret", "pip.conf=pip.conf")
    assert code == 0, out + err
    assert "ca is CORPORATE" in out
    image: Image = engine.images.get(f"{project.uri('base')}:{project.images()['base']['tag']}")
    saved = b"".join(image.save())
    assert len(saved) > 1000
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is None or PASSWORD.encode() not in content.read(), member.name
    assert PASSWORD not in json.dumps(image.history()) + json.dumps(image.attrs) + out + err
    # A mount's target stays as an empty file, as BuildKit makes it.
    assert engine.containers.run(image, ["sh", "-c", "test ! -s /etc/pip.conf && echo none"], remove=True) == b"none\n"


def test_a_secret_does_not_change_the_tag_and_its_name_is_found_in_the_dockerfile() -> None:
    text = (
        "FROM a\nRUN --mount=type=cache,target=/x --mount=type=secret,id=one,required=true echo\n"
        "RUN --mount=type=secret,target=/etc/two.conf echo \\\n  --mount=type=secret,id=no\n"
        "COPY --from=x --mount=type=secret,id=neither a b\n"
    )
    assert parse(text).secrets == {"one", "two.conf"}


def test_a_secret_comes_from_secrets_manager_and_its_file_goes(serve_secrets: Callable[[], boto3.Session]) -> None:
    wanted = {"pip.conf": BuildSecret(secret="etl/pip"), "unused": BuildSecret(secret="etl/absent")}
    with secret_files(wanted, {}, frozenset({"pip.conf", "optional"}), serve_secrets) as files:
        assert list(files) == ["pip.conf"]
        path = files["pip.conf"]
        assert path.read_text() == INDEX
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_secret_that_cannot_be_had_is_a_sentence_with_a_way_out(
    serve_secrets: Callable[[], boto3.Session], tmp_path: Path
) -> None:
    absent = {"x": BuildSecret(secret="etl/absent")}
    with pytest.raises(PipelineError) as error, secret_files(absent, {}, frozenset({"x"}), serve_secrets):
        pass
    assert "--build-secret x=FILE" in error.value.mend
    with (
        pytest.raises(UsageError, match="does not exist"),
        secret_files({}, {"x": tmp_path / "no"}, frozenset({"x"}), serve_secrets),
    ):
        pass
