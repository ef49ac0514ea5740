"""Base images in the Docker engine: those that are there, those that can be pulled, and stand-ins for the rest."""

import hashlib
import io
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Literal

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound

from pipeline.errors import PipelineError
from pipeline.localaws.machine.base_image_plan import (
    BUNDLE,
    KEY_LABEL,
    LABEL,
    PipSettings,
    StandIn,
    Wanted,
    bootstrap_command,
    bootstrap_key,
    debian_sources,
    external_images,
    pip_settings,
    stand_in_dockerfile,
    stand_in_for,
    stand_in_message,
)
from pipeline.process import LINES_SHOWN, CommandError, run

PULL_SECONDS = 15.0  # for the registry's first answer; what comes after may take as long as it takes
BOOTSTRAP_SECONDS = 600.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_END = object()


@dataclass(frozen=True)
class HostSettings:
    """What a stand-in takes over from this machine, so that it reaches what the machine reaches.

    Attributes:
        certificates: The certificate authorities this machine trusts, as one PEM text.
        pip: Where its pip finds packages.
    """

    certificates: bytes
    pip: PipSettings

    @staticmethod
    def read(environment: Mapping[str, str], home: Path) -> "HostSettings":
        """This machine's settings, given the variables and the home folder of whoever starts the local AWS."""
        files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
        texts = [path.read_text(encoding="utf-8") for path in files if path.exists()]
        bundle = Path(environment.get("SSL_CERT_FILE") or BUNDLE)
        return HostSettings(bundle.read_bytes() if bundle.exists() else b"", pip_settings(texts, environment))


@dataclass(frozen=True)
class Provided:
    """An image that is now in the engine, and how it came there; `note` says what a stand-in really is."""

    image: str
    how: Literal["present", "pulled", "stand-in"]
    note: str = ""


class BaseImages:
    """Sees to it that the images other people publish are in the engine.

    Args:
        client: The engine.
        cache: The user's cache folder; the Debian system of the stand-ins is kept there, for other clones too.
        host: What stand-ins take over from this machine.
        say: Told what is being done, before it is done.
    """

    def __init__(self, client: DockerClient, cache: Path, host: HostSettings, say: Callable[[str], None]) -> None:
        self._client = client
        self._cache = cache / "airflow-pipeline"
        self._host = host
        self._say = say

    @staticmethod
    def of_this_machine(client: DockerClient, say: Callable[[str], None]) -> "BaseImages":
        """With the cache and the settings of the user whose process this is."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return BaseImages(client, cache, HostSettings.read(os.environ, Path.home()), say)

    def ensure(self, dockerfiles: Mapping[str, str]) -> list[Provided]:
        """Provide every image the Dockerfiles (name → text) take from elsewhere; quick when all are there.

        Raises:
            PipelineError: One can neither be pulled nor stood in for; names it and its Dockerfile.
        """
        return [self._provide(wanted) for wanted in external_images(dockerfiles)]

    def _provide(self, wanted: Wanted) -> Provided:
        stand_in = stand_in_for(wanted.image)
        present = self._labels(wanted.image)
        if present is not None and (LABEL not in present or stand_in is None):
            return Provided(wanted.image, "present")
        if present is not None and stand_in is not None and present.get(KEY_LABEL) == self._key(stand_in):
            return Provided(wanted.image, "present", "a stand-in")
        self._say(f"Pulling {wanted.image}")
        problem = _pull(self._client, wanted.image)
        if not problem:
            return Provided(wanted.image, "pulled")
        if stand_in is None:
            raise PipelineError(
                f"the base image {wanted.image} is not in the Docker engine and cannot be pulled: {problem}",
                where=wanted.dockerfile,
                mend="docker load a copy of it, or start from an official `python:3` or `debian` image.",
            )
        return self._build(stand_in)

    def _labels(self, image: str) -> Mapping[str, str] | None:
        try:
            return self._client.images.get(image).labels
        except ImageNotFound:
            return None

    def _key(self, stand_in: StandIn) -> str:
        """What decides a stand-in: the system below it, and what comes from this machine."""
        decides = [
            bootstrap_key(stand_in.suite, _architecture()).encode(),
            self._host.certificates,
            self._host.pip.text().encode(),
        ]
        return hashlib.sha256(b"\0".join(decides)).hexdigest()[:16]

    def _build(self, stand_in: StandIn) -> Provided:
        base = self._imported_system(stand_in.suite)
        version = self._client.containers.run(base, ["python3", "--version"], remove=True, network_mode="none")
        python = version.decode().split()[-1]
        message = stand_in_message(stand_in, python)
        context = {
            "Dockerfile": stand_in_dockerfile(base, message, python, self._key(stand_in)).encode(),
            "ca-certificates.crt": self._host.certificates,
            "pip.conf": self._host.pip.text().encode(),
            "sources.list": "".join(f"{line}\n" for line in _sources(stand_in.suite, passwords=False)).encode(),
        }
        self._say(f"Building a {message}")
        self._client.images.build(fileobj=_tar(context), custom_context=True, tag=stand_in.image, rm=True, pull=False)
        return Provided(stand_in.image, "stand-in", message)

    def _imported_system(self, suite: str) -> str:
        """The image of the bare Debian system, from the cached tarball."""
        key = bootstrap_key(suite, _architecture())
        name, _, tag = key.rpartition("-")
        image = f"pipeline-{name}:{tag}"
        if self._labels(image) is None:
            tarball = self._cache / f"{key}.tar"
            if not tarball.exists():
                self._bootstrap(suite, tarball)
            self._client.api.import_image(src=str(tarball), repository=f"pipeline-{name}", tag=tag)
            if self._labels(image) is None:
                raise PipelineError(f"Docker did not import {tarball}", mend=f"rm {tarball}")
        return image

    def _bootstrap(self, suite: str, tarball: Path) -> None:
        if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
            raise PipelineError(
                "a stand-in for a base image must be made, which takes root and the package mmdebstrap",
                mend="sudo apt-get install --yes mmdebstrap, and run this command with sudo.",
            )
        self._say(f"Making a Debian {suite} system for stand-ins (once on this machine, kept in {tarball.parent})")
        tarball.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="base-image-", dir=tarball.parent) as folder:
            new = Path(folder) / "system.tar"
            work = Path(folder) / "work"
            work.mkdir()
            try:
                run(
                    bootstrap_command(str(work), suite, str(new), _sources(suite, passwords=True)),
                    timeout=BOOTSTRAP_SECONDS,
                )
            except CommandError as error:
                last = "\n".join(error.output.strip().splitlines()[-LINES_SHOWN:])  # the command may hold passwords
                raise PipelineError(
                    f"the Debian system for stand-ins could not be made:\n{last}",
                    mend="Check that apt's mirrors can be reached: apt-get update",
                ) from None
            new.replace(tarball)


class BuildBaseImages:
    """Gives a build the base images that its sources start from, when they are newer than the local AWS's start.

    Args:
        client: Gives the engine.
    """

    def __init__(self, client: Callable[[], DockerClient]) -> None:
        self._client = client
        self._one_at_a_time = Lock()

    def __call__(self, sources: Path, say: Callable[[str], None]) -> None:
        """Provide what can be provided; what cannot is said, and then `docker build` fails on it, as on AWS."""
        with self._one_at_a_time:
            try:
                provided = BaseImages.of_this_machine(self._client(), say).ensure(dockerfiles(sources))
            except (PipelineError, DockerException, OSError) as error:
                say(f"Base images: {error}")
                return
        for each in provided:
            if each.how == "stand-in":
                say(f"{each.image}: {each.note}")


def dockerfiles(sources: Path) -> dict[str, str]:
    """The Dockerfiles of a project's containers: path → text."""
    found = sorted(sources.glob("containers/*/Dockerfile"))
    return {str(path.relative_to(sources)): path.read_text(encoding="utf-8", errors="replace") for path in found}


def _pull(client: DockerClient, image: str) -> str:
    """Pull an image; "" when it worked, else why not. A registry that does not answer is given up soon."""
    separator = "@" if "@" in image else ":"
    named = separator in image.rpartition("/")[2]
    repository, _, tag = image.rpartition(separator) if named else (image, "", "latest")
    events: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_collect, args=(client, repository, tag, events), daemon=True).start()
    wait: float | None = PULL_SECONDS
    while True:
        try:
            event = events.get(timeout=wait)
        except Empty:
            return f"its registry did not answer within {PULL_SECONDS:g} s"
        if event is _END:
            return ""
        if "error" in event:
            return str(event["error"])
        wait = None


def _collect(client: DockerClient, repository: str, tag: str, events: "SimpleQueue[Any]") -> None:
    try:
        for event in _pull_events(client, repository, tag):
            events.put(event)
        events.put(_END)
    except (DockerException, OSError) as error:
        reason = error.explanation if isinstance(error, APIError) and error.explanation else error
        events.put({"error": str(reason)})


def _pull_events(client: DockerClient, repository: str, tag: str) -> Iterator[dict[str, Any]]:
    events: Iterator[dict[str, Any]] = client.api.pull(repository, tag=tag, stream=True, decode=True)
    return events


def _sources(suite: str, *, passwords: bool) -> list[str]:
    """The host's mirrors as lines of sources.list; none where the host has no apt: then mmdebstrap's own."""
    try:
        targets = run(
            [
                *("apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"),
                "Created-By: Packages",
            ]
        )
    except PipelineError:
        return []
    return debian_sources(targets, suite, passwords=passwords)


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _tar(files: Mapping[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed
