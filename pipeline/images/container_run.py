"""One container of tests: created, run to its end, its reports taken out, and removed, whatever happens."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event, Timer

import docker
from docker.errors import NotFound
from docker.models.containers import Container as RunningContainer

from pipeline.errors import PipelineError
from pipeline.images.builder import Say
from pipeline.images.engine import ENGINE_ERRORS

REPORTS = "/reports"
LABEL = "pipeline.test"
NETWORK = "none"  # tests that need a network are not unit tests


@dataclass(frozen=True)
class Run:
    """What came of it.

    Attributes:
        code: The exit code; None when time ran out.
        lines: What it printed.
        reports: File name → content of every XML file below /reports.
    """

    code: int | None
    lines: tuple[str, ...]
    reports: dict[str, bytes]


def run_container(client: docker.DockerClient, name: str, image: str, say: Say, *, seconds: float, stop: Event) -> Run:
    """Run an image with its own entry point, without a network, and with an empty folder /reports anyone may write to.

    Args:
        client: The engine.
        name: Of the container under test, for the label.
        image: The image.
        say: Told every line it prints.
        seconds: Time after which it is killed.
        stop: Once set, it is killed.

    Raises:
        PipelineError: It could not be run, or was stopped.
    """
    try:
        container = client.containers.create(image, network_mode=NETWORK, labels={LABEL: name})
    except ENGINE_ERRORS as error:
        raise PipelineError(f"the container was not created: {error}", where=image) from None
    late = Event()
    ended = Event()
    timer = Timer(seconds, _kill, (container, late))
    watch = Timer(0, _kill_when, (container, stop, ended))
    try:
        container.put_archive("/", _empty_folder(REPORTS))
        container.start()
        timer.start()
        watch.start()
        lines = []
        for line in _lines(container):
            lines.append(line)
            say(line)
        code = int(container.wait()["StatusCode"])
        if stop.is_set():
            raise PipelineError("the tests were stopped", where=name)
        return Run(None if late.is_set() else code, tuple(lines), _reports(container))
    except ENGINE_ERRORS as error:
        raise PipelineError(f"the container did not run: {error}", where=image) from None
    finally:
        ended.set()
        timer.cancel()
        with suppress(*ENGINE_ERRORS):
            container.remove(force=True, v=True)


def _kill(container: RunningContainer, late: Event) -> None:
    late.set()
    with suppress(*ENGINE_ERRORS):
        container.kill()


def _kill_when(container: RunningContainer, stop: Event, ended: Event) -> None:
    while not ended.wait(0.1):
        if stop.is_set():
            with suppress(*ENGINE_ERRORS):
                container.kill()
            return


def _lines(container: RunningContainer) -> Iterator[str]:
    rest = b""
    for chunk in container.logs(stream=True, follow=True):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")


def _empty_folder(path: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(mode="w", fileobj=archive) as tar:
        folder = tarfile.TarInfo(path.lstrip("/"))
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o777
        tar.addfile(folder)
    return archive.getvalue()


def _reports(container: RunningContainer) -> dict[str, bytes]:
    try:
        chunks, _ = container.get_archive(REPORTS)
    except NotFound:
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(".xml") else None
            if content is not None:
                found[PurePosixPath(member.name).name] = content.read()
    return found
