"""All subprocesses that run to an end: one function, one way to fail."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

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
