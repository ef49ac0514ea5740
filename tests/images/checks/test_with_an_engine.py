"""Checks that need an engine: SBOMs of real images, digests a real engine asks for, the commands as people run them."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest

from pipeline.errors import PipelineError
from pipeline.images.checks.judging import Checks
from pipeline.images.checks.pin import pin_all
from pipeline.images.checks.sbom import contents_of
from pipeline.images.containers import discover
from pipeline.localaws.machine.base_images import BaseImages
from pipeline.settings import Checks as Policies
from pipeline.settings import Images
from tests.images.folders import write
from tests.images.project import TINY, Project

pytestmark = pytest.mark.docker


def test_an_sbom_lists_what_is_installed(project: Project, base_images: BaseImages) -> None:
    dockerfile = "FROM python:3.12-slim-bookworm\nCOPY lib.txt /\n"
    base_images.ensure({"Dockerfile": dockerfile})
    write(project.folder / "containers", {"base/Dockerfile": dockerfile})
    built = project.build()
    path = project.folder / "reports/images/sbom/base-amd64.cdx.json"
    bom = json.loads(path.read_text())
    assert bom["metadata"]["component"]["version"] == built["base"]["tag"]
    purls = [component["purl"] for component in bom["components"]]
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)
    assert any(purl.startswith("pkg:pypi/pip@") for purl in purls)
    assert len(purls) > 50
    assert {entry["name"]: [f["check"] for f in entry["findings"]] for entry in built.values()}["base"] == [
        "unpinned_base"
    ]


def test_an_image_that_is_not_there_has_no_sbom_and_the_policy_decides(
    tmp_path: Path, engine: docker.DockerClient
) -> None:
    write(tmp_path, {"x/Dockerfile": f"FROM {TINY}\n"})
    (container,) = discover(tmp_path)
    for policy, denied in (("warn", False), ("deny", True)):
        checks = Checks(Images.model_validate({"checks": {"sbom": policy}}), engine, tmp_path / "sbom")
        (finding,) = checks.built(container, "pipeline-tests/none:1", "linux/amd64")
        assert finding.what.startswith("no SBOM can be made")
        assert finding.denied is denied
    off = Checks(Images(checks=Policies(sbom="off")), engine, tmp_path / "sbom")
    assert off.built(container, TINY, "linux/amd64") == ()
    assert not (tmp_path / "sbom").exists()


def test_an_image_with_a_volume_leaves_none_behind(tmp_path: Path, engine: docker.DockerClient) -> None:
    write(tmp_path, {"Dockerfile": f"FROM {TINY}\nVOLUME /data\n"})
    image, _ = engine.images.build(path=str(tmp_path))
    before = {volume.name for volume in engine.volumes.list()}
    contents_of(engine, image.id or "")
    assert {volume.name for volume in engine.volumes.list()} <= before


def test_what_a_policy_denies_is_not_built_and_the_others_are(project: Project) -> None:
    write(project.folder / "containers", {"child/.env": "PASSWORD=x\n"})
    code, out, err = project.run("build")
    assert code == 1
    assert "1 built (base), 1 failed (child)" in out
    assert "containers/child/.env: a file of this name holds secrets [secrets]" in err
    assert project.images()["child"]["findings"][-1]["denied"]
    project.configure(checks={"secrets": "off"})
    assert project.build()["child"]["result"] == "built"


MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


class Manifests(BaseHTTPRequestHandler):
    """As much of a registry as an engine asks for a digest."""

    def do_GET(self) -> None:
        found = self.path == "/v2/" or self.path.endswith(("/python/manifests/3.12", f"/python/manifests/{DIGEST}"))
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json")
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", str(len(MANIFEST) if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(MANIFEST)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Manifests)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_base_images_are_pinned_by_what_their_registry_says(
    tmp_path: Path, engine: docker.DockerClient, host: str
) -> None:
    text = f"FROM {host}/python:3.12 AS one\nFROM one\nFROM {host}/python:$V\n"
    write(tmp_path, {"x/Dockerfile": text, "y/Dockerfile": f"FROM {host}/python:3.12@sha256:{'0' * 64}\n"})
    lines = [str(each) for each in pin_all(engine, discover(tmp_path), update=False)]
    assert lines == [
        f"{tmp_path}/x/Dockerfile: {host}/python:3.12 → {host}/python:3.12@{DIGEST}",
        f"{tmp_path}/x/Dockerfile: {host}/python:$V is left as it is: a build argument decides what it is",
    ]
    assert (tmp_path / "x/Dockerfile").read_text() == text.replace("3.12 AS", f"3.12@{DIGEST} AS")
    list(pin_all(engine, discover(tmp_path), update=True))
    assert (tmp_path / "y/Dockerfile").read_text() == f"FROM {host}/python:3.12@{DIGEST}\n"
    assert len(list(pin_all(engine, discover(tmp_path), update=True))) == 1


def test_an_image_that_its_registry_does_not_know_is_named_and_nothing_is_written(
    tmp_path: Path, engine: docker.DockerClient, host: str
) -> None:
    write(tmp_path, {"x/Dockerfile": f"FROM {host}/python:3.12\n", "y/Dockerfile": f"FROM {host}/pyhton:3\n"})
    with pytest.raises(PipelineError, match=r"does not say what 127.0.0.1:\d+/pyhton:3 is today"):
        list(pin_all(engine, discover(tmp_path), update=False))
    assert (tmp_path / "x/Dockerfile").read_text() == f"FROM {host}/python:3.12\n"


def test_what_was_pinned_is_printed_as_json_where_a_machine_reads_it(project: Project, host: str) -> None:
    write(project.folder / "containers", {"base/Dockerfile": f"FROM {host}/python:3.12\nFROM {host}/python:$V\n"})
    code, out, err = project.run("pin", "--json")
    assert (code, err) == (0, "")
    where = "containers/base/Dockerfile"
    assert json.loads(out) == [
        {
            "where": where,
            "written": f"{host}/python:3.12",
            "new": f"{host}/python:3.12@{DIGEST}",
            "reason": "",
        },
        {
            "where": where,
            "written": f"{host}/python:$V",
            "new": None,
            "reason": "a build argument decides what it is",
        },
    ]


def test_the_commands_check_and_pin_name_what_they_found(project: Project) -> None:
    code, out, err = project.run("check")
    assert (code, err) == (0, "")
    assert f"{TINY} is not pinned by digest" in out
    project.configure(checks={"unpinned_base": "deny"})
    code, out, err = project.run("check", "base", "--json")
    assert code == 1
    assert [each["check"] for each in json.loads(out)] == ["unpinned_base"]
    code, _, err = project.run("check", "nobody")
    assert (code, "there is no container 'nobody'; there are: base, child" in err) == (2, True)
