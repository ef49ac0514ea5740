"""One shell instance that runs all commands of a build, one after another.

Variables, functions and the current folder carry over from command to command, as in version 0.2 of the buildspec. A
command that ends the shell itself (`exit 1`, `set -e`) has the shell's exit code as its own; the next command then gets
a new shell with the state the old one had.
"""

import os
import selectors
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from threading import Event
from time import monotonic
from typing import IO, Final

from pipeline.localaws.codebuild.build_processes import BuildProcesses

_CHUNK: Final = 65_536
_LOOK_AGAIN: Final = 0.1  # seconds; only the end of a shell that kept its result pipe open is noticed this late


class StoppedError(Exception):
    """The build was stopped from outside."""


class TimedOutError(Exception):
    """The build ran longer than it may."""


# File descriptors: 8 brings the word for the next command, 9 takes exit codes; commands inherit neither.
_DRIVER: Final = """\
exec 8<&0 0</dev/null 9>&2 2>&1
_codebuild_save() {{
  if [ -n "${{BASH_VERSION-}}" ]; then {{ declare -p; declare -f; }} >{state} 2>/dev/null
  else {{ set; export -p; }} >{state} 2>/dev/null
  fi
  pwd >{cwd}
}}
if [ -f {state} ]; then . {state} >/dev/null 2>&1; fi
trap _codebuild_save EXIT
if [ -f {cwd} ]; then cd "$(cat {cwd})"; fi
while IFS= read -r CODEBUILD_BUILD_SUCCEEDING <&8; do
  export CODEBUILD_BUILD_SUCCEEDING
  . {script} 8<&- 9>&-
  echo "$?" >&9
done
"""


@dataclass
class Shell:
    """A shell in a process group of its own.

    Attributes:
        program: `sh` or `bash`.
        folder: For its own files; kept apart from the build's.
        cwd: Where the first command starts.
        environment: All of the environment.
        output: Takes what the commands print, as it comes.
        processes: Where its group is put on record.
        stopped: Set from another thread to stop the build.
        deadline: On the monotonic clock, in seconds.
    """

    program: str
    folder: Path
    cwd: Path
    environment: Mapping[str, str]
    output: Callable[[bytes], None]
    processes: BuildProcesses
    stopped: Event
    deadline: float
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _result: bytes = field(default=b"", init=False)

    def run(self, command: str, *, succeeding: bool) -> int:
        """Run a command to its end and return its exit code.

        Raises:
            StoppedError, TimedOutError: It did not come to its end; its processes still run.
        """
        process = self._started()
        (self.folder / "script.sh").write_text(f"{command}\n", encoding="utf-8")
        assert process.stdin is not None  # noqa: S101 - for the type checker: it was started with a pipe
        self._result = b""
        try:
            process.stdin.write(b"1\n" if succeeding else b"0\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it is ending; its exit code tells
        return self._wait(process)

    def values(self, names: tuple[str, ...]) -> dict[str, str]:
        """The values that variables of the shell have now; unset ones are left out."""
        path = self.folder / "values"
        path.unlink(missing_ok=True)
        lines = [
            f'[ -z "${{{name}+set}}" ] || printf \'%s\\0\' {name} "${name}" >>{quote(str(path))}' for name in names
        ]
        self.run("\n".join([*lines, ":"]), succeeding=True)
        if not path.exists():
            return {}
        words = path.read_text(encoding="utf-8", errors="replace").split("\0")[:-1]
        return dict(zip(words[::2], words[1::2], strict=True))

    def drain(self) -> None:
        """Hand on what has been printed so far."""
        if self._process is not None and self._process.stdout is not None:
            self._read_output(self._process.stdout)

    def close(self) -> None:
        """Let go of the pipes; the processes are ended by `BuildProcesses.end` before."""
        process, self._process = self._process, None
        if process is None:
            return
        process.poll()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        self.folder.mkdir(parents=True, exist_ok=True)
        places = {name: quote(str(self.folder / name)) for name in ("state", "cwd")}
        driver = self.folder / "driver.sh"
        driver.write_text(_DRIVER.format(script=quote(str(self.folder / "script.sh")), **places), encoding="utf-8")
        process = subprocess.Popen(
            [self.program, str(driver)],
            cwd=self.cwd,
            env=dict(self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self.processes.add(process.pid)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None  # noqa: S101 - for the type checker
            os.set_blocking(pipe.fileno(), False)
        self._process = process
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Read output and result until the command has ended, in one thread, so that no line can come too late."""
        assert process.stdout is not None  # noqa: S101 - for the type checker
        assert process.stderr is not None  # noqa: S101 - for the type checker
        with selectors.DefaultSelector() as pipes:
            pipes.register(process.stdout, selectors.EVENT_READ, self._read_output)
            pipes.register(process.stderr, selectors.EVENT_READ, self._read_result)
            while not self._result.endswith(b"\n"):
                if self.stopped.is_set():
                    raise StoppedError
                if monotonic() > self.deadline:
                    raise TimedOutError
                ended = process.poll() is not None
                for key, _ in pipes.select(0 if ended else _LOOK_AGAIN):
                    if key.data(key.fileobj):
                        pipes.unregister(key.fileobj)  # at its end it would be ready for ever
                if ended and not self._result:
                    self.drain()
                    self.close()
                    return process.returncode if process.returncode >= 0 else 128 - process.returncode
        self.drain()
        return int(self._result)

    def _read_output(self, pipe: IO[bytes]) -> bool:
        chunk, ended = _available(pipe)
        if chunk:
            self.output(chunk)
        return ended

    def _read_result(self, pipe: IO[bytes]) -> bool:
        chunk, ended = _available(pipe)
        self._result += chunk
        return ended


def _available(pipe: IO[bytes]) -> tuple[bytes, bool]:
    """What can be read without waiting, and whether the pipe is at its end."""
    chunks = []
    try:
        while chunk := os.read(pipe.fileno(), _CHUNK):
            chunks.append(chunk)
    except BlockingIOError:
        return b"".join(chunks), False
    return b"".join(chunks), True
