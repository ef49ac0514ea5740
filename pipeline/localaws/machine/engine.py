"""A Docker engine for the local AWS: one that runs already, or else our own, which goes without a trace."""

import logging
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep, time

from docker import DockerClient
from docker.errors import DockerException

from pipeline.errors import PipelineError
from pipeline.localaws.machine.engine_plan import DEFAULT_SOCKET, Candidate, Choice, OwnEngine, choose, mounts_below
from pipeline.localaws.machine.network import Network
from pipeline.localaws.machine.processes import PROC, Processes, process_ids
from pipeline.process import run

RUNTIME_BASE = Path("/run")
SHIM_SOCKETS = Path("/run/containerd/s")
_NAMED_SOCKET = 8  # columns of a row of /proc/net/unix whose socket has a path
START_SECONDS = 60.0
STOP_SECONDS = 20.0
PROBE_SECONDS = 3
API_SECONDS = 600
AGAIN_SECONDS = 30.0  # before an engine that could not be started again is tried once more

log = logging.getLogger(__name__)


class Engine:
    """The engine. Use `host` (as DOCKER_HOST) or `client` once `start` has returned.

    Args:
        folder: Where an engine of our own keeps everything; nothing is written there if another one is used.
        docker_host: DOCKER_HOST of whoever starts the local AWS, "" when it is not set.
        use_existing: False for an engine of our own in any case.
        runtime_base: Where the folder with the sockets goes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        docker_host: str = "",
        use_existing: bool = True,
        runtime_base: Path = RUNTIME_BASE,
    ) -> None:
        folder = folder.resolve()
        self.own = OwnEngine.of(folder, runtime_base)
        self.host = ""
        self.choice = Choice(None, "not started")
        self._docker_host = docker_host
        self._use_existing = use_existing
        self._processes = Processes(folder)
        self._network = Network(self.own, folder / "network.json")
        self._not_before = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether it is an engine of our own, which ends with the local AWS."""
        return bool(self.host) and self.choice.existing is None

    @cached_property
    def client(self) -> DockerClient:
        """Docker's own SDK, connected to the engine."""
        return DockerClient(base_url=self.host, timeout=API_SECONDS)

    def start(self) -> None:
        """Find an engine, or start one and wait until it answers.

        Raises:
            PipelineError: There is none and ours does not start; the message holds the end of its log.
        """
        self.clean_up()
        self.choice = choose([_probe(host, source) for host, source in self._candidates()])
        if self.choice.existing is not None:
            self.host = self.choice.existing
            return
        _check_that_we_can_start_one(self.choice)
        try:
            self._start_own()
        except BaseException:
            self.clean_up()
            raise
        self.host = self.own.host

    def look_after(self) -> None:
        """Start an engine of our own again if it died; its containers died with it, and go."""
        if not self.is_ours or self._processes.running("dockerd") or monotonic() < self._not_before:
            return
        died = time()
        log.warning("the Docker engine died, and is started again")
        try:
            self.clean_up()
            self._start_own()
            for container in self.client.api.containers(all=True, filters={"status": ["exited", "dead"]}):
                if container["Created"] < died:
                    self.client.api.remove_container(container["Id"], force=True)
        except (PipelineError, DockerException) as problem:
            self._not_before = monotonic() + AGAIN_SECONDS
            log.warning("%s", problem)

    def stop(self) -> None:
        """Stop an engine of our own with all its containers; leave any other alone."""
        if self.is_ours:
            self._end_containers()
        if client := self.__dict__.pop("client", None):
            client.close()
        self.clean_up()
        self.host = ""

    def clean_up(self) -> None:
        """Remove whatever an engine of our own in this folder left: processes, mounts, interfaces, rules, sockets."""
        if not (self._processes.record("dockerd") or self._network.is_up() or self.own.runtime.exists()):
            return
        self._processes.stop("dockerd", grace=STOP_SECONDS)
        sockets = _sockets_of(self._strays())
        _kill(self._strays)
        _remove_shim_sockets(sockets)
        folders = [self.own.runtime, self.own.data]
        for point in mounts_below(folders, (PROC / "self/mountinfo").read_text(encoding="utf-8")):
            run(["umount", "--lazy", str(point)])
        self._network.down()
        _remove_cgroups(self.own.name)
        shutil.rmtree(self.own.runtime, ignore_errors=True)

    def _candidates(self) -> list[tuple[str, str]]:
        if not self._use_existing:
            return []
        given = [(self._docker_host, "DOCKER_HOST")] if self._docker_host not in ("", self.own.host) else []
        return [*given, (f"unix://{DEFAULT_SOCKET}", "the default socket")]

    def _start_own(self) -> None:
        self.own.runtime.mkdir(mode=0o700, parents=True)
        self.own.configuration.write_text("{}", encoding="ascii")
        network = self._network.up()
        self._processes.start("dockerd", self.own.command(network))
        until = monotonic() + START_SECONDS
        while (problem := _probe(self.own.host, "").problem) and monotonic() < until:
            if not self._processes.running("dockerd"):
                problem = "it ended"
                break
            sleep(0.1)
        if problem:
            raise PipelineError(
                f"our own Docker engine did not start: {problem}. The end of its log:\n"
                + self._processes.last_lines("dockerd"),
                where=str(self.own.data.parent / "dockerd.log"),
            )

    def _end_containers(self) -> None:
        """So that the daemon need not wait for each container's own grace time."""
        with suppress(DockerException):
            for container in self.client.containers.list():
                with suppress(DockerException):
                    container.kill()
            self.client.networks.prune()

    def _strays(self) -> list[int]:
        """Processes of the engine outside the daemon's group: containerd, its shims, and what containers run."""
        mark = str(self.own.runtime).encode()
        found = []
        for pid in process_ids():
            with suppress(OSError):
                command = (PROC / str(pid) / "cmdline").read_bytes()
                groups = (PROC / str(pid) / "cgroup").read_text(encoding="ascii")
                is_containerd = command.partition(b"\0")[0].rpartition(b"/")[2].startswith((b"containerd", b"runc"))
                if (is_containerd and mark in command) or f"/{self.own.name}/" in groups:
                    found.append(pid)
        return found


def engine_answers(docker_host: str) -> bool:
    """Whether a Docker engine runs already that the local AWS would use."""
    hosts = [host for host in (docker_host, f"unix://{DEFAULT_SOCKET}") if host]
    return any(not _probe(host, "").problem for host in hosts)


def _probe(host: str, source: str) -> Candidate:
    try:
        client = DockerClient(base_url=host, timeout=PROBE_SECONDS)
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, OSError) as error:
        return Candidate(host, source, _reason(error))
    return Candidate(host, source, "")


def _reason(error: Exception) -> str:
    text = str(error)
    for cause in ("FileNotFoundError", "ConnectionRefusedError", "PermissionError"):
        if cause in text:
            return {
                "FileNotFoundError": "there is no such socket",
                "ConnectionRefusedError": "nobody listens there",
                "PermissionError": "this user may not use it",
            }[cause]
    return text


def _check_that_we_can_start_one(choice: Choice) -> None:
    if os.geteuid() != 0:
        raise PipelineError(
            f"{choice.reason}; and only root can start one", mend="Start Docker, or run this command with sudo."
        )
    for program, package in (("dockerd", "docker.io"), ("iptables", "iptables"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            raise PipelineError(
                f"{choice.reason}; and {program!r} is not installed", mend=f"apt-get install --yes {package}"
            )


def _kill(strays: Callable[[], list[int]]) -> None:
    """Kill until none is left: a shim may start another process while we look."""
    for _ in range(50):
        found = strays()
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sleep(0.1)
    raise PipelineError(f"processes of the Docker engine do not end: {strays()}")


def _sockets_of(pids: list[int]) -> list[Path]:
    """The named UNIX sockets that processes hold, as proc(5) tells: by inode in /proc/PID/fd and /proc/net/unix."""
    held = set()
    for pid in pids:
        with suppress(OSError):
            held |= {str(entry.readlink()) for entry in (PROC / str(pid) / "fd").iterdir()}
    rows = [line.split() for line in (PROC / "net/unix").read_text(encoding="utf-8").splitlines()[1:]]
    return [Path(row[7]) for row in rows if len(row) == _NAMED_SOCKET and f"socket:[{row[6]}]" in held]


def _remove_shim_sockets(sockets: list[Path]) -> None:
    """Containerd keeps the sockets of all engines' shims in one folder; a shim that was killed leaves its own there."""
    for path in sockets:
        if path.parent == SHIM_SOCKETS:
            path.unlink(missing_ok=True)
    for folder in (SHIM_SOCKETS, SHIM_SOCKETS.parent):
        with suppress(OSError):
            folder.rmdir()  # only when nobody else uses it: then it is empty


def _remove_cgroups(name: str) -> None:
    """The engine's empty control groups, innermost first, in every hierarchy."""
    hierarchies = Path("/sys/fs/cgroup")
    for root in [*hierarchies.glob(f"*/{name}"), *hierarchies.glob(name)]:
        for group in sorted([*root.glob("**/"), root], key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):
                group.rmdir()
