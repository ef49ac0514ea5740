"""Long-running children of the local AWS, on record: a server that was killed is cleaned up after by the next one.

Each child leads a session and a process group of its own. The record on disk holds its pid and the time it started, and
the child carries a mark in its environment, so that a pid the kernel gave to somebody else since is never touched.
"""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

from pipeline.errors import PipelineError

MARK = "PIPELINE_LOCAL_PROCESS"  # the variable that says which record a process belongs to
RECORD = ".process.json"  # how the files of records end
GRACE = 10.0  # seconds between asking a process to end and ending it
PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class ProcessRecord:
    """A child as it was started.

    Attributes:
        name: What it is, e.g. `registry`; one child at a time of each name.
        pid: Its process id, which is also the id of its group and session.
        started: When it started, as `started_at` says.
        mark: The value of its `MARK` variable.
        log: Where its output goes.
    """

    name: str
    pid: int
    started: str
    mark: str
    log: str


class Processes:
    """The children of one local AWS, recorded in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> ProcessRecord:
        """Start a child that outlives this call; what an earlier one of the same name left is ended first.

        Raises:
            PipelineError: The program is not installed, or what was left over does not end.
        """
        self.stop(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = uuid.uuid4().hex
        log = self.folder / f"{name}.log"
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env={**os.environ, **(env or {}), MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError:
            raise PipelineError(
                f"the program {command[0]!r} is not installed", mend="`pipeline doctor` says how to install it."
            ) from None
        self._children[child.pid] = child
        record = ProcessRecord(name, child.pid, started_at(child.pid) or "", mark, str(log))
        _write_atomically(self._path(name), json.dumps(asdict(record), indent=2))
        return record

    def record(self, name: str) -> ProcessRecord | None:
        """What is on record under that name, running or not."""
        try:
            return ProcessRecord(**json.loads(self._path(name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (TypeError, json.JSONDecodeError):
            return None  # half a record from another version: nothing can be identified by it

    def running(self, name: str) -> bool:
        """Whether the child of that name is alive."""
        record = self.record(name)
        return record is not None and self._leads(record)

    def stop(self, name: str, grace: float = GRACE) -> None:
        """End a child and its whole process group; no error when it is not running.

        Args:
            name: The child.
            grace: Seconds it has to end by itself after SIGTERM.

        Raises:
            PipelineError: A process of it survived SIGKILL.
        """
        record = self.record(name)
        if record is None:
            return
        if self._leads(record):
            _signal(record.pid, signal.SIGTERM)
            _wait(lambda: not self._leads(record), grace)
        members = self._members(record)
        for pid in members:
            _signal(pid, signal.SIGKILL)
        if not _wait(lambda: not self._members(record), GRACE):
            raise PipelineError(f"{name} (process {record.pid}) does not end", mend=f"kill -9 -- -{record.pid}")
        self._path(name).unlink(missing_ok=True)

    def stop_all(self) -> None:
        """End every child on record."""
        for path in sorted(self.folder.glob(f"*{RECORD}")):
            self.stop(path.name.removesuffix(RECORD))

    def last_lines(self, name: str, count: int = 15) -> str:
        """The end of a child's log, for an error message."""
        try:
            text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-count:])

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{RECORD}"

    def _leads(self, record: ProcessRecord) -> bool:
        child = self._children.get(record.pid)
        if child is not None and child.poll() is not None:
            del self._children[record.pid]
        return started_at(record.pid) == record.started

    def _members(self, record: ProcessRecord) -> list[int]:
        """The living processes of its group that carry its mark: the group's number alone may be somebody else's."""
        self._leads(record)  # reaps it when it was ours
        return [
            pid
            for pid in process_ids()
            if _group_of(pid) == record.pid and started_at(pid) is not None and mark_of(pid) == record.mark
        ]


def process_ids() -> list[int]:
    """All processes of the machine."""
    return sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def started_at(pid: int) -> str | None:
    """When a process started, as `BOOT:TICKS`, unique on this machine; None when it is gone or a zombie.

    Source: proc(5), /proc/PID/stat field 22, clock ticks since boot; the boot's id tells boots apart.
    """
    try:
        fields = _status(pid)
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except _GONE:
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def parent_of(pid: int) -> int | None:
    """The process that started a process, or has inherited it; None when it is gone."""
    try:
        return int(_status(pid)[1])
    except _GONE:
        return None


def _status(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: its second, the name, may hold anything."""
    return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def mark_of(pid: int) -> str:
    """The value of a process's `MARK` variable; "" when it has none or is gone."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except _GONE:
        return ""
    found = [entry for entry in environment.split(b"\0") if entry.startswith(f"{MARK}=".encode())]
    return found[0].partition(b"=")[2].decode() if found else ""


def _group_of(pid: int) -> int:
    with suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return -1


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    """Whether `done` became true within so many seconds."""
    until = monotonic() + seconds
    while not done():
        if monotonic() > until:
            return False
        sleep(0.05)
    return True


def _write_atomically(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
