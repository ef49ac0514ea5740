"""All processes of one build, and how they are ended: its groups, and whoever left them but carries the build's mark.

The groups are on record on disk, so that a build whose server was killed is ended by the next server. A pid is touched
only when it provably belongs to the build: it carries the mark in its environment, or it is in a group whose leader is
still the process that was started.
"""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from pipeline.localaws.machine.processes import MARK, mark_of, process_ids, started_at

GRACE: Final = 5.0  # seconds between asking a build's processes to end and ending them
_LOOK_AGAIN: Final = 0.05

_NO_MORE: Final[Callable[[], None]] = lambda: None  # noqa: E731 - a constant that does nothing


class BuildProcesses:
    """The processes of one build.

    Args:
        mark: The value of the variable `MARK` that every process of the build inherits.
        record: Where the groups are on record.
    """

    def __init__(self, mark: str, record: Path) -> None:
        if not mark:
            raise ValueError("an empty mark would be that of every process that has none")
        self.mark = mark
        self._record = record
        self._groups: dict[int, str] = {}  # pid of the leader → when it started

    @classmethod
    def left_over(cls, record: Path) -> "BuildProcesses":
        """The processes that a record of an earlier server speaks of."""
        processes = cls(record.stem, record)
        with suppress(OSError, ValueError, AttributeError):
            processes._groups = {int(pid): str(at) for pid, at in json.loads(record.read_text("utf-8")).items()}
        return processes

    @property
    def environment(self) -> dict[str, str]:
        """What marks a process as the build's."""
        return {MARK: self.mark}

    def add(self, leader: int) -> None:
        """Put a new process group on record."""
        self._groups[leader] = started_at(leader) or ""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(self._groups), encoding="utf-8")
        new.replace(self._record)

    def living(self) -> list[int]:
        """The ids of all processes of the build that run now."""
        led = {leader for leader, at in self._groups.items() if started_at(leader) == at}
        return [
            pid
            for pid in process_ids()
            if (_group_of(pid) in led or mark_of(pid) == self.mark) and started_at(pid) is not None
        ]

    def end(self, grace: float = GRACE, meanwhile: Callable[[], None] = _NO_MORE) -> int:
        """Ask every process to end, end those that do not within `grace` seconds, and forget the record.

        Args:
            grace: Seconds.
            meanwhile: Called while waiting; reads the processes' output, on which they may be blocked.

        Returns:
            How many processes there were.
        """
        found = self.living()
        for pid in found:
            _signal(pid, signal.SIGTERM)
        until = monotonic() + grace
        while (left := self.living()) and monotonic() < until:
            meanwhile()
            sleep(_LOOK_AGAIN)
        until = monotonic() + grace
        while left and monotonic() < until:  # a process may fork while its group is being ended
            for pid in left:
                _signal(pid, signal.SIGKILL)
            meanwhile()
            sleep(_LOOK_AGAIN)
            left = self.living()
        self._record.unlink(missing_ok=True)
        return len(found)


def _group_of(pid: int) -> int:
    with suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return -1


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
