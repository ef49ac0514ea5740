"""`pipeline test dags` that is ended while files are imported: a real process, and real signals to it alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dagtest.projects import ROOT, make_project

SLEEPS = "import time\nfrom airflow.sdk import DAG\ntime.sleep(60)\nDAG('a')\n"
PATIENCE = 60.0  # seconds: for Airflow's import, on a machine that does other things


def arguments() -> Iterator[str]:
    """The command lines of all processes."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue


def wait_until_files_are_imported(scratch: Path, count: int) -> None:
    """The worker, and a process for each file of those that are imported at once."""
    until = time.monotonic() + PATIENCE
    while sum(f"{scratch}/" in line for line in arguments()) < count:
        assert time.monotonic() < until, "the files are not imported"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_all_it_started_and_leaves_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    project = make_project(tmp_path / "project", {f"d{name}.py": SLEEPS for name in "ab"}, seconds=300)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "test", "dags"],
        cwd=project,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until_files_are_imported(scratch, 3 if (os.cpu_count() or 1) > 1 else 2)
    asked = time.monotonic()
    command.send_signal(number)
    output, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 130, output
    assert "interrupted" in output
    assert time.monotonic() - asked < 30, "it waited for the files, which sleep for a minute"
    assert not [line for line in arguments() if f"{scratch}/" in line]
    assert not list(scratch.iterdir())
