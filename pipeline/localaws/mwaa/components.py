"""The processes of one Airflow: started, looked after, ended, also when the server that started them was killed."""

import logging
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from pipeline.localaws.mwaa.sessions import Sessions

log = logging.getLogger(__name__)

# Scheduler first: it is the slowest to its first heartbeat. Task logs are read from disk, so nobody serves them.
COMMANDS: Final = {
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "api-server": ("api-server",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
# What MWAA adds to the web server is a plugin in a folder of ours: no other process has to load it.
_OWN_VARIABLES: Final = {"api-server": {"PYTHONPATH": str(Path(__file__).with_name("webserver"))}}
_RECORD: Final = "sessions.json"
GRACE: Final = 5.0  # seconds between asking Airflow to end and ending it
_PAUSES: Final = (0.0, 5.0, 15.0, 60.0)  # seconds before a component is started again, the first time and so on
_QUIET: Final = 300.0  # a component that lived this long starts with a clean record


def end_left_over(folder: Path) -> None:
    """End the Airflows of a server that was killed; `folder` is that of the local AWS."""
    for record in sorted(folder.glob(f"mwaa/*/processes/{_RECORD}")):
        count = Sessions(record).end(GRACE)
        log.info("ended %d processes of the Airflow of %s", count, record.parents[1].name)


@dataclass
class _Component:
    process: "subprocess.Popen[bytes]"
    started: float
    deaths: int = 0
    died: float = 0.0


class Components:
    """The components of one Airflow.

    Args:
        folder: Holds the record of the processes, and what they print, `NAME.log` each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, _Component] = {}
        self._sessions = Sessions(folder / _RECORD)
        self._airflow = Path()
        self._variables: Mapping[str, str] = {}

    def start(self, airflow: Path, variables: Mapping[str, str]) -> None:
        """Start all of them, after ending whatever is left of an earlier start."""
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._airflow, self._variables = airflow, variables
        for name in COMMANDS:
            (self.folder / f"{name}.log").unlink(missing_ok=True)
            self._running[name] = _Component(self._spawn(name), monotonic())

    def look_after(self) -> tuple[str, ...]:
        """Start again what died; the components that are down now, each with its exit code."""
        self._sessions.end_idle_workers()
        down = []
        for name, component in self._running.items():
            code = component.process.poll()
            if code is None:
                continue
            now = monotonic()
            if not component.died:
                component.died = now
                component.deaths = 1 if now - component.started > _QUIET else component.deaths + 1
                log.warning("%s of %s ended with code %d", name, self.folder.parent.name, code)
            down.append(f"{name} ended with code {code}")
            if now - component.died >= _PAUSES[min(component.deaths, len(_PAUSES)) - 1]:
                component.process, component.started, component.died = self._spawn(name), now, 0.0
        return tuple(down)

    def finish_tasks(self, seconds: float, ended: Event) -> None:
        """Let running tasks come to their end, and start no new ones: what a scheduler does that is asked to end."""
        scheduler = self._running.get("scheduler")
        if scheduler is None:
            return
        scheduler.process.terminate()
        until = monotonic() + seconds
        while scheduler.process.poll() is None and monotonic() < until:
            if ended.wait(0.2):
                return

    def fail_tasks(self) -> None:
        """End running tasks at once, while there is an Airflow that takes note of it."""
        count = self._sessions.end_tasks(GRACE)
        if count:
            log.info("ended %d tasks of %s", count, self.folder.parent.name)

    def stop(self, grace: float = GRACE) -> None:
        """End all of them and whatever they started; also what the record of a killed server speaks of."""
        count = self._sessions.end(grace)
        if count and not self._running:
            log.info("ended %d processes that an earlier Airflow of %s had left", count, self.folder.parent.name)
        for component in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                component.process.wait(1.0)
        self._running.clear()

    def last_lines(self, count: int = 8) -> str:
        """The end of what each component printed, for an error message."""
        parts = []
        for name in COMMANDS:
            with suppress(FileNotFoundError):
                text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                parts.append("\n".join([f"{name}:", *text.splitlines()[-count:]]))
        return "\n".join(parts)

    def _spawn(self, name: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [str(self._airflow), *COMMANDS[name]],
                cwd=self.folder,
                env={**self._variables, **_OWN_VARIABLES.get(name, {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.add(process.pid)
        return process
