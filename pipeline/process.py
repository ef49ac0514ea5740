"""All subprocesses that run to an end: one way to run them, one way to fail."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
        tail = "\n".join(output.strip().splitlines()[-LINES_SHOWN:])
        super().__init__(f"`{' '.join(command)}` ended with code {code}\n{tail}".rstrip())


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return its standard output.

    Args:
        command: Program and arguments; never a shell line.
        cwd: The folder to run in; the current one by default.
        env: Variables added to this process's own.
        stdin: Text for standard input; empty by default, so that nothing ever waits for a person.
        timeout: Seconds after which it is ended.

    Raises:
        CommandError: It failed; the message holds the last lines it printed.
        PipelineError: The program is not installed, or time ran out.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise PipelineError(
            f"the program {command[0]!r} is not installed", mend="`pipeline doctor` says how to install it."
        ) from None
    except subprocess.TimeoutExpired:
        raise PipelineError(f"`{' '.join(command)}` did not end within {timeout:g} s") from None
    if done.returncode != 0:
        raise CommandError(command, done.returncode, done.stdout + done.stderr)
    return done.stdout


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
    except FileNotFoundError:
        raise PipelineError(
            f"the program {command[0]!r} is not installed", mend="`pipeline doctor` says how to install it."
        ) from None
    ended = Event()
    watch = Thread(target=_end_when, args=(child, stop or Event(), ended), daemon=True)
    watch.start()
    assert child.stdout is not None  # noqa: S101 - PIPE above
    try:
        for line in child.stdout:
            lines.append(line.rstrip("\n"))
            on_line(lines[-1])
        code = child.wait()
    finally:
        ended.set()
        watch.join()
        child.stdout.close()
    if stop is not None and stop.is_set():
        raise PipelineError(f"`{' '.join(command)}` was stopped")
    if code != 0:
        raise CommandError(command, code, "\n".join(lines))


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
