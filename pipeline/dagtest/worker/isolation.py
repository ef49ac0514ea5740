"""A process for each file, forked from one that has Airflow imported: a file harms its own result only."""

import faulthandler
import json
import os
import resource
import selectors
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

Tell = Callable[[dict[str, Any]], None]
Work = Callable[[str, Tell], Any]

OUTPUT_KEPT = 8_000  # bytes of what a file printed that are kept: the end, where the cause usually is
PAUSE = 0.02  # seconds between two looks, where the system cannot tell of a process's end
LAST_WORDS = 0.3  # seconds in which a process that took too long may say where it is


@dataclass(frozen=True)
class Limits:
    """How much may be used.

    Attributes:
        processes: How many at the same time.
        seconds: How long one file may take before its process is killed.
        memory: Bytes of address space that one may take beyond what this process has.
        budget: Seconds for all files together; what is not done by then is not done.
    """

    processes: int
    seconds: float
    memory: int
    budget: float = 3600.0


@dataclass
class _Child:
    """A process at work on a file.

    Attributes:
        path: The file.
        pid: The process, leader of its own process group.
        result: The read end of the pipe that events and the result come through, a JSON line each.
        output: The read end of its standard output and error.
        ended: A descriptor that is readable once the process has ended; -1 where there is no such thing.
        started: By the monotonic clock.
        answer: What came through `result` so far.
        printed: The end of what it printed.
        total: How many bytes it printed.
        asked: Whether it was asked where it is.
    """

    path: str
    pid: int
    result: int
    output: int
    ended: int
    started: float
    answer: bytearray = field(default_factory=bytearray)
    printed: bytearray = field(default_factory=bytearray)
    total: int = 0
    asked: bool = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that are watched."""
        return tuple(descriptor for descriptor in (self.result, self.output, self.ended) if descriptor >= 0)


def in_processes(paths: Sequence[str], work: Work, limits: Limits) -> Iterator[dict[str, Any]]:
    """Do the work for every path, each in a process of its own; results come as they are ready.

    Args:
        paths: What to work on.
        work: Called in the forked process with the path and a function that tells of something at once, so that it is
            known even if the process ends; returns what JSON can hold.
        limits: What each and all of them may use.

    Returns:
        For each path a document with `path`, `seconds`, `printed`, `printed_bytes`, `events` (what was told) and
        `outcome`: `done` (`result` is what `work` returned), `timed out`, `ended` (`how`, a sentence), or `not begun`.
    """
    end = monotonic() + limits.budget
    waiting = list(reversed(paths))
    running: list[_Child] = []
    with selectors.DefaultSelector() as selector:
        try:
            while running or (waiting and monotonic() < end):
                while waiting and len(running) < limits.processes and monotonic() < end:
                    child = _start(waiting.pop(), work, limits.memory)
                    running.append(child)
                    for descriptor in child.descriptors:
                        selector.register(descriptor, selectors.EVENT_READ, child)
                _read(selector, running, limits.seconds, end)
                for child in list(running):
                    outcome = _outcome(child, min(limits.seconds, end - child.started))
                    if outcome is not None:
                        running.remove(child)
                        _close(selector, child)
                        yield outcome
            for path in reversed(waiting):
                yield {"path": path, "seconds": 0.0, "printed": "", "printed_bytes": 0, "events": []} | {
                    "outcome": "not begun"
                }
        finally:
            for child in running:
                _end(child)


def _start(path: str, work: Work, memory: int) -> _Child:
    result_read, result_write = os.pipe()
    output_read, output_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            _be_the_child(path, work, memory, result_write, output_write)
        finally:
            os._exit(1)
    os.close(result_write)
    os.close(output_write)
    os.set_blocking(result_read, False)
    os.set_blocking(output_read, False)
    ended = -1
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):  # an old kernel, or a sandbox that does not know it
            ended = os.pidfd_open(pid)
    return _Child(path, pid, result_read, output_read, ended, monotonic())


def _be_the_child(path: str, work: Work, memory: int, result: int, output: int) -> None:
    """Never returns into the parent's code: ends the process, whatever happens."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as in any other process: see `main`
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False)
    limit_memory(memory)
    us = os.getpid()
    end = os._exit  # the file may replace it, or we may

    def tell(document: dict[str, Any]) -> None:
        if os.getpid() == us:  # else the file forked, and this is its copy of us
            view = memoryview(json.dumps(document).encode() + b"\n")
            while view:
                view = view[os.write(result, view) :]

    try:
        tell({"result": work(path, tell)})
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - a file may raise anything; it is told by what it printed
        traceback.print_exc()
        end(1)
    end(0)


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has; 0 for no limit, and where the system cannot."""
    if not more or sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - a file of the kernel's
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(selector: selectors.BaseSelector, running: Sequence[_Child], seconds: float, end: float) -> None:
    """Take what the processes wrote, waiting until one writes or ends, or the next time-out."""
    next_timeout = min(end, *(child.started + seconds + LAST_WORDS * child.asked for child in running))
    wait = max(0.0, next_timeout - monotonic())
    if any(child.ended < 0 or child.asked for child in running) or monotonic() > end:
        wait = PAUSE
    if not selector.get_map():
        sleep(min(wait, PAUSE))
        return
    for key, _ in selector.select(wait):
        child: _Child = key.data
        if key.fd == child.ended:
            selector.unregister(key.fd)
            continue
        try:
            content = os.read(key.fd, 1 << 20)
        except BlockingIOError:
            continue
        if not content:
            selector.unregister(key.fd)
        elif key.fd == child.result:
            child.answer += content
        else:
            child.total += len(content)
            child.printed = (child.printed + content)[-OUTPUT_KEPT:]


def _outcome(child: _Child, seconds: float) -> dict[str, Any] | None:
    """What became of a process, None while it is at work."""
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    took = monotonic() - child.started
    if pid == 0 and took < seconds:
        return None
    if pid == 0 and not child.asked:
        child.asked = True
        os.kill(child.pid, signal.SIGUSR1)  # faulthandler prints where it is
        return None
    if pid == 0 and took < seconds + LAST_WORDS:
        return None
    if pid == 0:
        _end(child)
    else:
        _kill_group(child)
    _drain(child)
    told = _told(bytes(child.answer))
    known = {
        "path": child.path,
        "seconds": round(took, 3),
        "printed": child.printed.decode("utf-8", "replace"),
        "printed_bytes": child.total,
        "events": [document for document in told if "result" not in document],
    }
    if pid == 0:
        return {**known, "outcome": "timed out"}
    results = [document["result"] for document in told if "result" in document]
    if results:
        return {**known, "outcome": "done", "result": results[-1]}
    return {**known, "outcome": "ended", "how": _how(os.waitstatus_to_exitcode(status))}


def _told(answer: bytes) -> list[dict[str, Any]]:
    documents = []
    for line in answer.splitlines():
        with suppress(ValueError):  # the last line of a process that was killed while it wrote
            documents.append(json.loads(line))
    return [document for document in documents if isinstance(document, dict)]  # a file may write what it likes


def _drain(child: _Child) -> None:
    """What is still in the pipes of a process that has ended."""
    for descriptor, store in ((child.result, child.answer), (child.output, child.printed)):
        with suppress(BlockingIOError):
            while content := os.read(descriptor, 1 << 20):
                store.extend(content)
                child.total += len(content) if store is child.printed else 0
    del child.printed[:-OUTPUT_KEPT]


def _how(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"
    return f"ended its process with code {code}"


def _end(child: _Child) -> None:
    """End a process that has not been waited for, and wait for it."""
    _kill_group(child)
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)  # just forked, it leads no group yet
    with suppress(ChildProcessError):
        os.waitpid(child.pid, 0)


def _kill_group(child: _Child) -> None:
    """What the file started goes with it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _close(selector: selectors.BaseSelector, child: _Child) -> None:
    for descriptor in child.descriptors:
        with suppress(KeyError):
            selector.unregister(descriptor)
        os.close(descriptor)
