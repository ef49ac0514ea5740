"""A process for each file, forked from one that has Airflow imported: a file harms its own result only."""

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

Work = Callable[[str], dict[str, Any]]

OUTPUT_KEPT = 8_000  # bytes of what a file printed that are kept: the end, where the cause usually is
PAUSE = 0.02  # seconds between two looks at processes that have closed their pipes but not ended


@dataclass
class _Child:
    """A process at work on a file.

    Attributes:
        path: The file.
        pid: The process, leader of its own process group.
        result: The read end of the pipe that the result comes through.
        output: The read end of its standard output and error.
        started: By the monotonic clock.
        answer: What came through `result` so far.
        printed: The end of what it printed.
        total: How many bytes it printed.
    """

    path: str
    pid: int
    result: int
    output: int
    started: float
    answer: bytearray = field(default_factory=bytearray)
    printed: bytearray = field(default_factory=bytearray)
    total: int = 0


def in_processes(
    paths: Sequence[str], work: Work, *, processes: int, seconds: float, memory: int
) -> Iterator[dict[str, Any]]:
    """Do the work for every path, each in a process of its own; results come as they are ready.

    Args:
        paths: What to work on.
        work: Called in the forked process; returns a JSON document.
        processes: How many at the same time.
        seconds: How long one may take before it is killed.
        memory: Bytes of address space that one may take beyond what this process has.

    Returns:
        For each path a document with `path`, `seconds`, `printed`, `outcome` and, by outcome:
        `done`: `result`, what `work` returned; `timed out`; `ended`: `how`, a sentence.
    """
    waiting = list(reversed(paths))
    running: list[_Child] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    child = _start(waiting.pop(), work, memory)
                    running.append(child)
                    selector.register(child.result, selectors.EVENT_READ, child)
                    selector.register(child.output, selectors.EVENT_READ, child)
                _read(selector, running, seconds)
                for child in list(running):
                    outcome = _outcome(child, seconds)
                    if outcome is not None:
                        running.remove(child)
                        _close(selector, child)
                        yield outcome
        finally:
            for child in running:
                _kill(child)
                with suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)


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
    return _Child(path, pid, result_read, output_read, monotonic())


def _be_the_child(path: str, work: Work, memory: int, result: int, output: int) -> None:
    """Never returns into the parent's code: ends the process, whatever happens."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    if memory and sys.platform == "linux":
        _limit_memory(memory)
    us = os.getpid()
    try:
        answer = json.dumps(work(path)).encode()
    except BaseException:  # noqa: BLE001 - a file may raise anything; it is told by what it printed
        traceback.print_exc()
        os._exit(1)
    if os.getpid() != us:  # the file forked, and this is its copy of us
        os._exit(0)
    sys.stdout.flush()
    sys.stderr.flush()
    view = memoryview(answer)
    while view:
        view = view[os.write(result, view) :]
    os._exit(0)


def _limit_memory(more: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - a file of the kernel's
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(selector: selectors.BaseSelector, running: Sequence[_Child], seconds: float) -> None:
    """Take what the processes wrote, waiting until one writes or the next time-out."""
    if not selector.get_map():
        sleep(PAUSE)
        return
    next_timeout = min(child.started for child in running) + seconds - monotonic()
    all_open = len(selector.get_map()) == 2 * len(running)
    for key, _ in selector.select(max(0.0, next_timeout) if all_open else PAUSE):
        child: _Child = key.data
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
    _kill(child)  # the group: what the file started goes with it
    if pid == 0:
        os.waitpid(child.pid, 0)
    _drain(child)
    known = {
        "path": child.path,
        "seconds": round(took, 3),
        "printed": child.printed.decode("utf-8", "replace"),
        "printed_bytes": child.total,
    }
    if pid == 0:
        return {**known, "outcome": "timed out"}
    try:
        return {**known, "outcome": "done", "result": json.loads(child.answer)}
    except ValueError:
        return {**known, "outcome": "ended", "how": _how(os.waitstatus_to_exitcode(status))}


def _drain(child: _Child) -> None:
    """What is still in the pipes of a process that has ended."""
    for descriptor, store in ((child.result, child.answer), (child.output, child.printed)):
        with suppress(BlockingIOError):
            while content := os.read(descriptor, 1 << 20):
                store.extend(content)
    del child.printed[:-OUTPUT_KEPT]


def _how(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"
    return f"ended its process with code {code}"


def _kill(child: _Child) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _close(selector: selectors.BaseSelector, child: _Child) -> None:
    for descriptor in (child.result, child.output):
        with suppress(KeyError):
            selector.unregister(descriptor)
        os.close(descriptor)
