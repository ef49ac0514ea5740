"""The real command in a process forked from one that has imported everything: it starts in a fraction of the time."""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pipeline.release.commands", "tests.release.forked"])


@dataclass
class Forked:
    """A running command."""

    process: BaseProcess
    output: Path

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.join()

    def end(self) -> tuple[int | None, str]:
        """Wait for it. Exit code (-9 when killed) and what it said."""
        self.process.join(60)
        return self.process.exitcode, self.output.read_text()


def start(folder: Path, *arguments: str) -> Forked:
    """Start `pipeline ARGUMENTS` in a folder."""
    output = folder.parent / "output"
    process = _FORKS.Process(target=_run, args=(folder, arguments, dict(os.environ), output))
    process.start()
    return Forked(process, output)


def _run(folder: Path, arguments: tuple[str, ...], variables: dict[str, str], output: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["pipeline", *arguments]
    from pipeline.cli import main  # noqa: PLC0415 - with the variables above

    main()
