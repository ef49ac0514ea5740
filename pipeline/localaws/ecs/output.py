"""A container's output, line by line into CloudWatch Logs, as the `awslogs` driver writes it."""

import logging
import queue
import threading
from collections.abc import Iterator
from time import time
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.localaws.ecs.launch import LogStream

log = logging.getLogger(__name__)

CHANNELS: Final = ("stdout", "stderr")
_MOST_EVENTS: Final = 1_000  # in one PutLogEvents; the API takes 10,000
_ENOUGH_BYTES: Final = 500_000  # the API takes 1 MiB: one more event always fits
_LINE_BYTES: Final = 80_000  # a longer line becomes several events; the API takes 256 KiB, and a bad byte becomes three
_EVENT_OVERHEAD: Final = 26  # bytes that the API counts for each event


class LogStreamError(Exception):
    """The log stream could not be made; the message is AWS's."""


def create_stream(logs: Any, place: LogStream) -> None:
    """Make the stream, and the group when the task definition asks for that.

    Raises:
        LogStreamError: There is no such group.
    """
    try:
        if place.create_group:
            try:
                logs.create_log_group(logGroupName=place.group)
            except logs.exceptions.ResourceAlreadyExistsException:
                log.debug("the log group %s is there", place.group)
        logs.create_log_stream(logGroupName=place.group, logStreamName=place.stream)
    except ClientError as error:
        answer = error.response["Error"]
        raise LogStreamError(f"{answer['Code']}: {answer['Message']}") from None


class OutputLog:
    """Takes a container's bytes as they come; a thread of its own sends whole lines, many at once when there are many.

    Args:
        logs: A CloudWatch Logs client.
        place: A stream that is there.
    """

    def __init__(self, logs: Any, place: LogStream) -> None:
        self._logs = logs
        self._place = place
        self._partial = dict.fromkeys(CHANNELS, b"")
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name=f"log {place.stream}", daemon=True)
        self._thread.start()

    def write(self, channel: str, output: bytes) -> None:
        """Some of the output of a channel, cut anywhere."""
        *lines, self._partial[channel] = (self._partial[channel] + output).split(b"\n")
        for line in lines:
            self._take(line)

    def close(self) -> None:
        """Send what is left; returns when it is sent."""
        for channel in CHANNELS:
            rest, self._partial[channel] = self._partial[channel], b""
            if rest:
                self._take(rest)
        self._events.put(None)
        self._thread.join()

    def _take(self, line: bytes) -> None:
        now = int(time() * 1000)
        for start in range(0, max(len(line), 1), _LINE_BYTES):
            text = line[start : start + _LINE_BYTES].decode("utf-8", errors="replace").removesuffix("\r")
            # An event's message must not be empty.
            self._events.put({"timestamp": now, "message": text or " "})

    def _send(self) -> None:
        for batch in self._batches():
            try:
                self._logs.put_log_events(
                    logGroupName=self._place.group, logStreamName=self._place.stream, logEvents=batch
                )
            except (ClientError, BotoCoreError):
                log.exception("%d lines of the log %s are lost", len(batch), self._place.stream)

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        """Whatever waits, as soon as something waits, within the API's limits; until the end."""
        event = self._events.get()
        while event is not None:
            batch, size = [event], _size(event)
            event = None
            while not self._events.empty() and len(batch) < _MOST_EVENTS and size < _ENOUGH_BYTES:
                event = self._events.get()
                if event is None:
                    yield batch
                    return
                batch.append(event)
                size += _size(event)
            yield batch
            event = self._events.get()


def _size(event: dict[str, Any]) -> int:
    return len(event["message"].encode()) + _EVENT_OVERHEAD
