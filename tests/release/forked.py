"""The real command in a process forked from one that has imported everything: it starts in a fraction of the time."""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pipeline.release.commands", "tests.release.forked"])
_numbers = count()


@dataclass
class Forked:
    """A running command."""

    process: BaseProcess
    outputs: tuple[Path, Path]
    arguments: tuple[str, ...]

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.join()

    def end(self) -> CompletedProcess[str]:
        """Wait for it. Its code is -9 when it was killed."""
        self.process.join(120)
        code = self.process.exitcode
        assert code is not None, f"it still runs: {self.arguments}"
        return CompletedProcess(self.arguments, code, *(path.read_text() for path in self.outputs))


def start(folder: Path, *arguments: str, **variables: str) -> Forked:
    """Start `pipeline ARGUMENTS` in a folder; what it says goes into files beside the folder."""
    number = next(_numbers)  # two commands may run at once
    outputs = folder.with_name(f"stdout-{number}"), folder.with_name(f"stderr-{number}")
    process = _FORKS.Process(target=_run, args=(folder, arguments, dict(os.environ) | variables, outputs))
    process.start()
    return Forked(process, outputs, arguments)


def _run(folder: Path, arguments: tuple[str, ...], variables: dict[str, str], outputs: tuple[Path, Path]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, path in enumerate(outputs, start=1):
        with path.open("w") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["pipeline", *arguments]
    from pipeline.cli import main  # noqa: PLC0415 - with the variables above

    main()
