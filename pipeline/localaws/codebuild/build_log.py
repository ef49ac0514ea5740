"""A build's log: the lines CodeBuild prints and the commands' output, in CloudWatch Logs while the build runs."""

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import Any, Final

from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 0.3  # how long a line may wait to be sent together with others
_EVENTS = 2_000  # in one PutLogEvents; the API's limit is 10,000 events and 1 MB
_BYTES = 900_000
_EVENT_BYTES = 200_000  # a longer line is split; the API's limit is 256 kB
MASK: Final = "***"


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with every line of every secret value replaced."""
    for secret in sorted({line for value in secrets for line in value.splitlines() if line.strip()}, key=len)[::-1]:
        text = text.replace(secret, MASK)
    return text


class BuildLog:
    """Takes lines and bytes from the build's thread and sends them from a thread of its own.

    Args:
        client: A CloudWatch Logs client; None when the project's logs are disabled.
        group: The log group, created when it is not there.
        stream: The log stream.
    """

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client = client
        self._group = group
        self._stream = stream
        self._secrets: set[str] = set()
        self._partial = b""
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        if client is None:
            return
        with suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_group(logGroupName=group)
        with suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_stream(logGroupName=group, logStreamName=stream)
        self._thread = threading.Thread(target=self._send_until_closed, name=f"log {stream}", daemon=True)
        self._thread.start()

    def hide(self, value: str) -> None:
        """Never show this value."""
        self._secrets.add(value)

    def say(self, line: str) -> None:
        """A line of CodeBuild's own."""
        self.flush_partial()
        now = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S.%f")
        self._line(f"[Container] {now} {line}")

    def write(self, output: bytes) -> None:
        """Output of a command, as it came."""
        *lines, self._partial = (self._partial + output).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", errors="replace"))

    def flush_partial(self) -> None:
        """Take a last line without an end for a line."""
        if self._partial:
            line, self._partial = self._partial, b""
            self._line(line.decode("utf-8", errors="replace"))

    def close(self) -> None:
        """Send what is left; returns when it is sent."""
        self.flush_partial()
        self._closed.set()
        if self._client is not None:
            self._thread.join()

    def _line(self, line: str) -> None:
        # a progress bar redraws its line after each carriage return: what a terminal shows in the end is the last state
        text = masked(line.rstrip("\r").rpartition("\r")[2], self._secrets)
        now = int(time() * 1000)
        pieces = [text[start : start + _EVENT_BYTES // 4] for start in range(0, len(text), _EVENT_BYTES // 4)] or [""]
        with self._lock:
            self._waiting += [{"timestamp": now, "message": f"{piece}\n"} for piece in pieces]

    def _send_until_closed(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        while True:
            with self._lock:
                batch = _batch(self._waiting)
                del self._waiting[: len(batch)]
            if not batch:
                return
            try:
                self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=batch)
            except ClientError:
                log.exception("lines of the log %s:%s are lost", self._group, self._stream)


def _batch(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    size = 0
    for index, event in enumerate(events[:_EVENTS]):
        size += len(event["message"].encode()) + 26  # the API counts 26 bytes for each event
        if size > _BYTES:
            return events[:index]
    return events[:_EVENTS]
