"""An environment's logs in CloudWatch Logs, as lines that people read."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import sleep
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.localairflow.environment import LocalEnvironment

# What people ask for → log group, start of the stream's name.
SOURCES: Final = {
    "scheduler": ("Scheduler", "scheduler"),
    "triggerer": ("Scheduler", "triggerer"),
    "webserver": ("WebServer", "webserver"),
    "dags": ("DAGProcessing", ""),
    "tasks": ("Task", ""),
    "requirements": ("Scheduler", "requirements_install"),
    "startup": ("Scheduler", "startup_script_execution"),
}
_PAUSE: Final = 1.0
_OVERLAP: Final = 60_000  # milliseconds that a line may arrive after a later one


def readable(message: str) -> str:
    """A line as a person reads it: Airflow writes its task logs as JSON.

    >>> readable('{"timestamp":"2026-11-23T12:32:04.076074Z","level":"info","event":"HELLO"}')
    '12:32:04 HELLO'
    """
    if not message.startswith("{"):
        return message
    with suppress(json.JSONDecodeError):
        record = json.loads(message)
        level = str(record.get("level", "info"))
        words = (
            str(record.get("event", "")) if level in ("info", "debug") else f"{level.upper()} {record.get('event', '')}"
        )
        at = str(record.get("timestamp", ""))[11:19]
        trace = _error(record)
        return "\n".join(part for part in (f"{at} {words}".strip(), trace) if part)
    return message


def lines(environment: LocalEnvironment, source: str, stream: str = "", most: int = 0) -> list[str]:
    """The lines of a source, in the order of time; with `most`, that many from the end.

    Args:
        environment: Whose.
        source: A key of `SOURCES`.
        stream: The start of the streams' names; by default the source's.
        most: How many.
    """
    found = [message for _, _, message in _events(environment, source, stream, 0)]
    return found[-most:] if most else found


def follow(
    environment: LocalEnvironment, source: str, most: int, *, pause: Callable[[float], None] = sleep
) -> Iterator[str]:
    """The last lines of a source, and then each new one, until the caller has enough."""
    seen: set[str] = set()
    newest = 0
    first = True
    while True:
        found = _events(environment, source, "", max(0, newest - _OVERLAP))
        fresh = [event for event in found if event[1] not in seen]
        yield from (message for _, _, message in (fresh[-most:] if first else fresh))
        first = False
        seen = {identity for _, identity, _ in found}
        newest = max([newest, *(at for at, _, _ in found)])
        pause(_PAUSE)


def _events(environment: LocalEnvironment, source: str, stream: str, start: int) -> list[tuple[int, str, str]]:
    group, prefix = SOURCES[source]
    client = environment.region.client("logs")
    request: dict[str, Any] = {"logGroupName": f"airflow-{environment.name}-{group}", "startTime": start}
    if stream or prefix:
        request["logStreamNamePrefix"] = stream or prefix
    found: list[tuple[int, str, str]] = []
    try:
        for page in client.get_paginator("filter_log_events").paginate(**request):
            found += [(event["timestamp"], event["eventId"], readable(event["message"])) for event in page["events"]]
    except ClientError:
        return []  # nothing was logged yet: the group is made with its first line
    return sorted(found, key=lambda event: event[0])


def _error(record: dict[str, Any]) -> str:
    """The last error of a record's traceback; its whole depth is in the log itself."""
    details = record.get("error_detail") or []
    if not details:
        return ""
    last = details[-1]
    frames = last.get("frames") or []
    where = f"  {frames[-1]['filename']}:{frames[-1]['lineno']} in {frames[-1]['name']}\n" if frames else ""
    return f"{where}  {last.get('exc_type', '')}: {last.get('exc_value', '')}"
