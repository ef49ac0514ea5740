"""An Airflow's logs into CloudWatch Logs: a log group for each component, a stream for each process and each task."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.localaws.mwaa.declaration import LOG_GROUPS, log_group, log_level

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"  # where MWAA's streams name the address of a container
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_EVENT_BYTES: Final = 200_000  # a longer line is cut; the API's limit is 256 kB
_BATCH_EVENTS, _BATCH_BYTES = 1_000, 700_000  # in one PutLogEvents; the API's limits are 10,000 and 1 MB
_READ_BYTES: Final = 2_000_000  # of one file in one round
# A run's folder and a day's of the DAG processor: how many of the newest are looked at in each round, for a task that
# runs for hours among others' short runs is found when all are.
_NEWEST: Final = 10
_ALL_EVERY: Final = 60.0  # seconds
_CONSOLE: Final = re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z) \[(?P<level>\w+)\s*\]")
# Component of the logging configuration and name of the stream, for what each process prints.
_PROCESSES: Final = {
    "scheduler": ("SchedulerLogs", f"scheduler_{HOST}.log"),
    "triggerer": ("SchedulerLogs", f"triggerer_{HOST}.log"),
    "dag-processor": ("DagProcessingLogs", f"dag_processor_{HOST}.log"),
    "api-server": ("WebserverLogs", f"webserver_{HOST}.log"),
}


def level_of(line: str) -> str | None:
    """The level a line of Airflow's was logged with; None for one without, which belongs to the line before."""
    if console := _CONSOLE.match(line):
        return console["level"].upper()
    if line.startswith("{"):
        with suppress(json.JSONDecodeError):
            level = json.loads(line).get("level")
            return str(level).upper() if level else None
    return None


def time_of(line: str) -> int | None:
    """When a line of Airflow's was logged, in milliseconds since 1970; None where it does not say so."""
    found = _CONSOLE.match(line)
    text = found["time"] if found else ""
    if line.startswith("{"):
        with suppress(json.JSONDecodeError):
            text = str(json.loads(line).get("timestamp", ""))
    with suppress(ValueError):
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    return None


def kept(lines: Iterable[str], level: str) -> Iterator[str]:
    """The lines of that level and above; a line without a level shares the fate of the one before it."""
    least = _LEVELS.index(level) if level in _LEVELS else 0
    keep = True
    for line in lines:
        said = level_of(line)
        if said in _LEVELS:
            keep = _LEVELS.index(said) >= least
        if keep:
            yield line


def stream_of(path: Path) -> tuple[str, str] | None:
    """Component and stream of a file below Airflow's log folder; None for what goes nowhere.

    CloudWatch forbids colons and asterisks in a stream's name; MWAA writes underscores.
    """
    first = path.parts[0]
    if path.suffix != ".log":
        return None
    name = re.sub(r"[:*]", "_", path.as_posix())
    if first.startswith("dag_id="):
        return "TaskLogs", name
    if first == "dag_processor":
        return "DagProcessingLogs", name
    return None


def _newest(folder: Path, most: int | None) -> list[Path]:
    """The folders in a folder, the last changed first. Links are none: "latest" is one to a day that is there too."""
    try:
        found = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        return [Path(entry) for entry in sorted(found, key=lambda entry: -entry.stat().st_mtime)[:most]]
    except FileNotFoundError:
        return []


class Logs:
    """The logs of one environment.

    Args:
        client: A CloudWatch Logs client.
        name: The environment's.
        processes: Where the processes' output lies.
        tasks: Airflow's log folder.
    """

    def __init__(self, client: Any, name: str, processes: Path, tasks: Path) -> None:
        self._client = client
        self._name = name
        self._processes = processes
        self._tasks = tasks
        self._read: dict[Path, int] = {}
        self._streams: set[tuple[str, str]] = set()
        self._latest: dict[tuple[str, str], int] = {}
        self._environment: Mapping[str, Any] = {}
        self._all_seen = 0.0

    def configure(self, environment: Mapping[str, Any]) -> None:
        """Log as the environment says; makes the groups of what is enabled."""
        self._environment = environment
        for component in LOG_GROUPS:
            if log_level(environment, component):
                with suppress(ClientError, BotoCoreError):  # it exists; or it is made with its first stream
                    self._client.create_log_group(logGroupName=log_group(self._name, component))

    def say(self, components: Iterable[str], stream: str, lines: Iterable[str]) -> None:
        """Log lines that no process of Airflow printed."""
        now = int(time() * 1000)
        events = [(now, line) for line in lines]
        for component in components:
            if log_level(self._environment, component):
                self._send(component, f"{stream}_{HOST}", events)

    def ship(self) -> None:
        """Send what was written since the last time."""
        for name, (component, stream) in _PROCESSES.items():
            self._ship(self._processes / f"{name}.log", component, stream)
        for path in self._written():
            target = stream_of(path.relative_to(self._tasks))
            if target:
                self._ship(path, *target)

    def _written(self) -> Iterator[Path]:
        """The files that may have grown: of the newest folders always, of all now and then."""
        everything = monotonic() - self._all_seen > _ALL_EVERY
        if everything:
            self._all_seen = monotonic()
        for part in _newest(self._tasks, None):
            for folder in _newest(part, None if everything else _NEWEST):
                yield from folder.rglob("*.log")

    def _ship(self, path: Path, component: str, stream: str) -> None:
        level = log_level(self._environment, component)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return
        start = self._read.get(path, 0)
        if size < start:
            start = 0  # Airflow was started again, into a new file
        if size == start:
            return
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(_READ_BYTES)
        end = content.rfind(b"\n") + 1  # the rest of the last line is still to come
        if not end:
            end = len(content) if len(content) == _READ_BYTES else 0
        lines = content[:end].decode(errors="replace").splitlines()
        now = int(time() * 1000)
        if level is None or self._send(
            component, stream, [(time_of(line) or now, line) for line in kept(lines, level)]
        ):
            self._read[path] = start + end

    def _send(self, component: str, stream: str, events: list[tuple[int, str]]) -> bool:
        """Whether they arrived."""
        group = log_group(self._name, component)
        latest = self._latest.get((group, stream), 0)
        batch: list[dict[str, Any]] = []
        size = 0
        try:
            for at, line in events:
                latest = max(latest, at)  # within one request, events must be in the order of time
                message = (line or " ").encode()[:_EVENT_BYTES].decode(errors="ignore")
                batch.append({"timestamp": latest, "message": message})
                size += len(message) + 26  # the API counts 26 bytes for each event
                if len(batch) >= _BATCH_EVENTS or size >= _BATCH_BYTES:
                    self._put(group, stream, batch)
                    batch, size = [], 0
            if batch:
                self._put(group, stream, batch)
        except (ClientError, BotoCoreError) as error:
            log.warning("lines of %s:%s wait: %s", group, stream, error)
            return False
        self._latest[group, stream] = latest
        return True

    def _put(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        if (group, stream) not in self._streams:
            for create, names in (
                (self._client.create_log_group, {"logGroupName": group}),
                (self._client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
            ):
                with suppress(self._client.exceptions.ResourceAlreadyExistsException):
                    create(**names)
            self._streams.add((group, stream))
        try:
            self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except self._client.exceptions.ResourceNotFoundException:
            self._streams.discard((group, stream))  # someone deleted it: it is made anew with the next round
            raise
