"""A real image registry: Debian's `docker-registry` (distribution 2.8) as a child process on a UNIX socket.

Only this server speaks to it: what Docker and the ECR API may see of it is the business of `ecr`.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

import yaml

from pipeline.errors import PipelineError
from pipeline.localaws.machine.processes import Processes
from pipeline.localaws.machine.registry_storage import RegistryStorage

PIECE = 1024 * 1024  # bytes moved at a time: a layer may be larger than the memory
SOCKET = "registry.sock"
START_SECONDS = 20.0
ANSWER_SECONDS = 300.0


class Registry:
    """The registry of one local AWS; its images lie below `folder` and outlive it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.storage = RegistryStorage(self.folder / "storage")
        self._processes = Processes(self.folder)
        self._turns: dict[str, Lock] = {}

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            PipelineError: It is not installed, or does not start; the message holds the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "config.yml"
        configuration.write_text(yaml.safe_dump(_configuration(self.storage.root)), encoding="utf-8")
        # The socket's path is relative to the child's folder: a socket's path is limited to 108 bytes.
        self._processes.start("registry", ["docker-registry", "serve", configuration.name], cwd=self.folder)
        until = monotonic() + START_SECONDS
        while not self._answers():
            if not self._processes.running("registry") or monotonic() > until:
                lines = self._processes.last_lines("registry")
                self.stop()
                raise PipelineError(f"the image registry did not start. The end of its log:\n{lines}")
            sleep(0.05)

    def stop(self) -> None:
        """End it, and whatever an earlier server left of it."""
        self._processes.stop("registry")
        socket_file = self.folder / SOCKET
        if socket_file.is_socket():
            socket_file.unlink()

    def connect(self) -> HTTPConnection:
        """An HTTP connection to it, for one request; the caller closes it."""
        return _UnixConnection(self.folder)

    @contextmanager
    def turn(self, repository: str) -> Iterator[None]:
        """Alone with a repository: the registry rewrites links in place, and a reader meanwhile finds one empty."""
        with self._turns.setdefault(repository, Lock()):
            yield

    def _answers(self) -> bool:
        try:
            with closing(self.connect()) as connection:
                connection.request("GET", "/v2/")
                return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's own
        except (OSError, HTTPException):
            return False


class _UnixConnection(HTTPConnection):
    def __init__(self, folder: Path) -> None:
        super().__init__("registry", timeout=ANSWER_SECONDS, blocksize=PIECE)
        self._folder = folder

    def connect(self) -> None:
        """Connect by way of the folder's descriptor, which has a short path however deep the folder lies."""
        descriptor = os.open(self._folder, os.O_PATH)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
        finally:
            os.close(descriptor)


def _configuration(storage: Path) -> dict[str, object]:
    """Source: distribution 2.8, docs/configuration.md."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        # No descriptor cache: what the ECR API deletes on disk is gone for the registry too.
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        # Relative URLs: clients know us by another address than the registry does.
        "http": {"net": "unix", "addr": SOCKET, "relativeurls": True},
    }
