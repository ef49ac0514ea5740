"""A small project in a registry of its own name, and the command as people run it."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from pipeline.localaws.region import LocalRegion
from tests.images.folders import write

TINY = "pipeline-tests/shell:1"  # made by the fixture `engine`
BASE = f"FROM {TINY}\nCOPY lib.txt /\n"
CHILD = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY src /src\nRUN echo made > /made\n"


class Project:
    """A folder with settings and two containers, one the base of the other, in a registry of its own name."""

    def __init__(self, folder: Path, docker_host: str, registry: LocalRegion, name: str = "") -> None:
        self.name = name or f"p{uuid.uuid4().hex[:8]}"
        self.region = registry
        self.folder = folder
        self.ecr = registry.client("ecr")
        self.environment = {**os.environ, **registry.environment(), "DOCKER_HOST": docker_host}
        settings = {
            "name": self.name,
            "region": registry.region,
            "repository": "etl",
            "airflow": {"version": "3.3.1"},
            "environments": {"dev": {}},
        }
        self._settings: dict[str, Any] = settings
        self.configure()
        write(
            folder,
            {
                "containers/base/Dockerfile": BASE,
                "containers/base/lib.txt": "lib",
                "containers/child/Dockerfile": CHILD,
                "containers/child/container.toml": 'base = "base"',
                "containers/child/src/main.sh": "echo hello",
            },
        )
        for container in () if name else ("base", "child"):
            self.ecr.create_repository(repositoryName=f"{self.name}/{container}", imageTagMutability="IMMUTABLE")

    def configure(self, **images: Any) -> None:
        """Write cdk.json; `images` are the settings of images."""
        settings = self._settings | ({"images": images} if images else {})
        write(self.folder, {"cdk.json": json.dumps({"context": {"pipeline": settings}})})

    def uri(self, name: str) -> str:
        """Address of a container's repository."""
        return f"{self.environment['AWS_ENDPOINT_URL'].partition('://')[2]}/{self.name}/{name}"

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that hears signals, also where the tests' own parent has some ignored, as nohup does."""
        return subprocess.Popen(
            ["/usr/bin/env", "--default-signal=INT,TERM,HUP", sys.executable, "-m", "pipeline", "images", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        child = self.start(*arguments)
        out, err = child.communicate(timeout=120)
        return child.returncode, out, err

    def build(self) -> dict[str, dict[str, Any]]:
        code, out, err = self.run("build")
        assert code == 0, out + err
        return self.images()

    def images(self) -> dict[str, dict[str, Any]]:
        return {entry["name"]: entry for entry in json.loads((self.folder / "images.json").read_text())}

    def reasons(self) -> dict[str, list[str]]:
        code, out, err = self.run("plan", "--json")
        assert code == 0, err
        return {entry["name"]: entry["reasons"] for entry in json.loads(out)}

    def tags(self, name: str) -> dict[str, str]:
        details = self.ecr.describe_images(repositoryName=f"{self.name}/{name}")["imageDetails"]
        return {tag: detail["imageDigest"] for detail in details for tag in detail["imageTags"]}

    def labels(self, name: str, tag: str) -> dict[str, str]:
        """An image's labels, from its configuration."""
        manifest = self._manifest(name, tag)
        digest = manifest["config"]["digest"].removeprefix("sha256:")
        blob = self.region.folder / f"registry/storage/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        labels: dict[str, str] = json.loads(blob.read_text())["config"]["Labels"]
        return labels

    def layers(self, name: str, tag: str) -> list[str]:
        """Digests of an image's layers, lowest first."""
        return [layer["digest"] for layer in self._manifest(name, tag)["layers"]]

    def _manifest(self, name: str, tag: str) -> dict[str, Any]:
        answer = self.ecr.batch_get_image(repositoryName=f"{self.name}/{name}", imageIds=[{"imageTag": tag}])
        manifest: dict[str, Any] = json.loads(answer["images"][0]["imageManifest"])
        return manifest
