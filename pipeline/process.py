"""All subprocesses that run to an end: one way to run them, one way to fail."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from pipeline.errors import PipelineError

# What an error shows of a command's output: enough for the cause, which tools print last.
LINES_SHOWN = 20


class CommandError(PipelineError):
    """A command ended with a code other than 0."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.command = tuple(command)
        self.code = code
        self.output = output
        super().__init__(f"`{' '.join(command)}` ended with code {code}\n{self.last_lines}".rstrip())

    @property
    def last_lines(self) -> str:
        """The end of its output, where tools say the cause."""
        return "\n".join(self.output.strip().splitlines()[-LINES_SHOWN:])


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    stop: Event | None = None,
) -> str:
    """Run a command and return its standard output.

    Args:
        command: Program and arguments; never a shell line.
        cwd: The folder to run in; the current one by default.
        env: Variables added to this process's own.
        stdin: Text for standard input; empty by default, so that nothing ever waits for a person.
        timeout: Seconds after which it is ended.
        stop: Once set, the command and all it started are ended: for those that wait in a thread, where Ctrl-C is not
            heard.

    Raises:
        CommandError: It failed; the message holds the last lines it printed.
        PipelineError: The program is not installed, time ran out, or it was stopped.
    """
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=stop is not None,
        )
    except OSError as error:
        raise _not_started(command, error) from None
    with child, _ended_by(stop, child):
        try:
            out, err = child.communicate(stdin or "", timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise PipelineError(f"`{' '.join(command)}` did not end within {timeout:g} s") from None
        except BaseException:
            child.kill()
            raise
    _raise_if_stopped(command, stop)
    if child.returncode != 0:
        raise CommandError(command, child.returncode, out + err)
    return out


def stream(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stop: Event | None = None,
) -> None:
    """Run a command that takes long, and hand on every line it prints, both outputs together, as it comes.

    Args:
        command: Program and arguments; never a shell line.
        on_line: Called with each line, without its end.
        cwd: The folder to run in; the current one by default.
        env: Variables added to this process's own.
        stop: Once set, the command and all it started are ended.

    Raises:
        CommandError: It failed; `output` holds all it printed.
        PipelineError: The program is not installed, or it was stopped.
    """
    lines: list[str] = []
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(command, error) from None
    assert child.stdout is not None  # noqa: S101 - PIPE above
    with child.stdout, _ended_by(stop or Event(), child):
        for line in child.stdout:
            lines.append(line.rstrip("\n"))
            on_line(lines[-1])
        code = child.wait()
    _raise_if_stopped(command, stop)
    if code != 0:
        raise CommandError(command, code, "\n".join(lines))


def _not_started(command: Sequence[str], error: OSError) -> PipelineError:
    why = "is not installed" if isinstance(error, FileNotFoundError) else f"cannot be run: {error.strerror}"
    return PipelineError(f"the program {command[0]!r} {why}", mend="`pipeline doctor` says how to install it.")


def _raise_if_stopped(command: Sequence[str], stop: Event | None) -> None:
    if stop is not None and stop.is_set():
        raise PipelineError(f"`{' '.join(command)}` was stopped")


@contextmanager
def _ended_by(stop: Event | None, child: "subprocess.Popen[str]") -> Iterator[None]:
    """Within it, the child's whole group is ended once asked to; also when it is left while the child runs."""
    if stop is None:
        yield
        return
    ended = Event()
    watch = Thread(target=_end_when, args=(child, stop, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _end_when(child: "subprocess.Popen[str]", stop: Event, ended: Event) -> None:
    """End the child's whole group when asked to, or when nobody reads its output any more."""
    while not ended.wait(0.1) and not stop.is_set():
        pass
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        if child.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
