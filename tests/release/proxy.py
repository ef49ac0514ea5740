"""A proxy between a client and S3 that spoils chosen requests, as networks and S3 do."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LATE = 2.0  # seconds; half of it is what a client waits, of a server that a busy machine makes slow


class Fault(StrEnum):
    """What becomes of a request."""

    LOST = "cut before S3 sees it"
    ANSWER_LOST = "done by S3, cut before the answer"
    ANSWER_CUT = "done by S3, cut in the middle of the answer"
    LATE = "done by S3 after the client has given it up"
    BROKEN = "500 InternalError, not done"
    BROKEN_BUT_DONE = "500 InternalError, but done"
    UNAVAILABLE = "503 ServiceUnavailable"
    SLOW_DOWN = "503 SlowDown"


_ANSWERS = {
    Fault.BROKEN: (500, "InternalError"),
    Fault.BROKEN_BUT_DONE: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
    Fault.SLOW_DOWN: (503, "SlowDown"),
}
_NOT_DONE = (Fault.BROKEN, Fault.UNAVAILABLE, Fault.SLOW_DOWN)


@dataclass
class Proxy:
    """The proxy: its address, the requests it saw, and what spoils them.

    Attributes:
        fault: From a request's number, counted from 1, what becomes of it.
        done: Called after every request that S3 carried out.
    """

    target: str
    endpoint: str = ""
    seen: list[str] = field(default_factory=list)
    fault: Callable[[int], Fault | None] = lambda _: None
    done: Callable[[str], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        self.seen.clear()

    def next(self, request: str) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            return self.fault(len(self.seen))


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """A proxy to a server, until the end of the block."""
    through = Proxy(target)

    class Handler(_Handler):
        proxy = through

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    through.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield through
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _spoil(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.command} {self.path}"
        fault = self.proxy.next(request)
        if fault is Fault.LOST:
            self._cut()
            return
        if fault is Fault.LATE:
            time.sleep(LATE)
        if fault in _NOT_DONE:
            self._answer_error(fault)
            return
        status, headers, answer = self._forward(content)
        self.proxy.done(request)
        if fault in _ANSWERS:
            self._answer_error(fault)
        elif fault is Fault.ANSWER_LOST:
            self._cut()
        else:
            with suppress(OSError):
                self._answer(status, headers, answer, cut=fault is Fault.ANSWER_CUT)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _spoil  # noqa: N815 - the names http.server looks for

    def _forward(self, content: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        to = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        to.request(self.command, self.path, body=content, headers=headers)
        answer = to.getresponse()
        read = answer.status, answer.getheaders(), answer.read()
        to.close()
        return read

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", len(content))
        self.send_header("Content-Length", str(length if self.command == "HEAD" else len(content)))
        if not cut:
            self.end_headers()
            self.wfile.write(content)
            return
        if content:
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        self._cut()

    def _answer_error(self, fault: Fault) -> None:
        status, code = _ANSWERS[fault]
        content = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
        with suppress(OSError):
            self._answer(status, [("Content-Type", "application/xml")], content)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: tests look at `seen`."""
