"""The processes of one Airflow, on record: found and ended also after the server that started them was killed.

Each component leads a session, and whatever it starts stays in it. Airflow writes titles over the environment of its
processes, so that a mark there cannot be relied on. A session's number can: the kernel gives it to nobody else while
the session has members.
"""

import json
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from pipeline.localaws.machine.processes import parent_of, process_ids, started_at

_LOOK_AGAIN: Final = 0.05
_WORKER: Final = "LocalExecutor"  # in the title of a worker, which ends with the task it runs
_IDLE: Final = "<idle>"
_KILLING: Final = 10.0  # seconds that SIGKILL may take to show


class Sessions:
    """The sessions that one Airflow's components lead.

    Args:
        record: The file in which they are on record.
    """

    def __init__(self, record: Path) -> None:
        self._record = record
        self._leaders: dict[int, str] = {}  # pid → when it started
        with suppress(OSError, ValueError, AttributeError):
            self._leaders = {int(pid): str(at) for pid, at in json.loads(record.read_text("utf-8")).items()}

    def add(self, leader: int) -> None:
        """Put a new session on record."""
        self._leaders[leader] = started_at(leader) or ""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(self._leaders), encoding="utf-8")
        new.replace(self._record)

    def living(self, of: Iterable[int] | None = None) -> list[int]:
        """The processes in these sessions, by default in all, that run now.

        A leader that died leaves its session to the members; one that started at another time is somebody else.
        """
        ours = {
            leader
            for leader in (self._leaders if of is None else of)
            if started_at(leader) in (None, self._leaders.get(leader))
        }
        return [pid for pid in process_ids() if _session_of(pid) in ours and started_at(pid) is not None]

    def end(self, grace: float) -> int:
        """Ask every process to end, end those that do not within `grace` seconds, and forget the record.

        Returns:
            How many processes there were.
        """
        found = left = self.living()
        _signal(found, signal.SIGTERM)
        until = monotonic() + grace
        while left and monotonic() < until:
            sleep(_LOOK_AGAIN)
            left = self.living()
        until = monotonic() + _KILLING
        while left and monotonic() < until:  # a process may fork while its session is being ended
            _signal(left, signal.SIGKILL)
            sleep(_LOOK_AGAIN)
            left = self.living()
        self._record.unlink(missing_ok=True)
        self._leaders.clear()
        return len(found)

    def end_tasks(self, grace: float) -> int:
        """End the processes that tasks run in, and let their workers tell Airflow that these failed.

        A task that is asked to end runs its `on_kill`, and goes on; only then is it ended.

        Returns:
            How many there were.
        """
        found = self._tasks()
        _signal(found, signal.SIGTERM)
        until = monotonic() + grace / 2
        while self._tasks() and monotonic() < until:
            sleep(_LOOK_AGAIN)
        _signal(self._tasks(), signal.SIGKILL)
        until = monotonic() + grace
        while found and self._busy_workers() and monotonic() < until:
            sleep(_LOOK_AGAIN)
        return len(found)

    def _busy_workers(self) -> set[int]:
        titles = {pid: title_of(pid) for pid in self.living()}
        return {pid for pid, title in titles.items() if _WORKER in title and not title.endswith(_IDLE)}

    def _tasks(self) -> list[int]:
        workers = self._busy_workers()
        return [pid for pid in self.living() if parent_of(pid) in workers]

    def end_idle_workers(self) -> None:
        """End workers whose scheduler died: no more work reaches them. One that has a task may finish it first."""
        orphaned = [leader for leader in self._leaders if started_at(leader) is None]
        if orphaned:
            _signal([pid for pid in self.living(orphaned) if title_of(pid).endswith(_IDLE)], signal.SIGKILL)


def title_of(pid: int) -> str:
    """What a process calls itself; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _session_of(pid: int) -> int:
    with suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return -1


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
