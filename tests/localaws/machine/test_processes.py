"""Children on record, with real processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.machine.processes import Processes, started_at

SLEEP = ["sleep", "300"]


def _until_gone(pid: int) -> bool:
    until = monotonic() + 5
    while started_at(pid) is not None and monotonic() < until:
        sleep(0.02)
    return started_at(pid) is None


def test_a_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    record = processes.start("one", SLEEP)
    assert processes.running("one")
    processes.stop("one")
    assert not processes.running("one")
    assert started_at(record.pid) is None
    assert processes.record("one") is None


def test_its_output_is_kept(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    record = processes.start("one", ["sh", "-c", "echo first; echo last >&2"])
    assert _until_gone(record.pid)
    assert processes.last_lines("one") == "first\nlast"


def test_what_a_killed_server_left_is_stopped_by_the_next(tmp_path: Path) -> None:
    server = "import sys, os; from pathlib import Path; from pipeline.localaws.machine.processes import Processes; "
    server += (
        "print(Processes(Path(sys.argv[1])).start('one', ['sleep', '300']).pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", server, str(tmp_path)], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    assert done.returncode == -signal.SIGKILL
    assert started_at(pid) is not None
    Processes(tmp_path).stop_all()
    assert _until_gone(pid)


def test_a_second_child_of_the_same_name_replaces_the_first(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    first = processes.start("one", SLEEP)
    second = processes.start("one", SLEEP)
    assert started_at(first.pid) is None
    processes.stop("one")
    assert started_at(second.pid) is None


def test_the_whole_group_ends_even_when_its_leader_went_before(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("one", ["sh", "-c", "sleep 300 & echo $!"])
    until = monotonic() + 5
    while not processes.last_lines("one") or processes.running("one"):
        assert monotonic() < until
        sleep(0.02)
    grandchild = int(processes.last_lines("one"))
    assert started_at(grandchild) is not None
    processes.stop("one")
    assert _until_gone(grandchild)


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    record = processes.start("one", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    while processes.last_lines("one") != "ready":
        sleep(0.02)
    processes.stop("one", grace=0.3)
    assert started_at(record.pid) is None


def test_a_pid_that_belongs_to_somebody_else_now_is_not_touched(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, start_new_session=True) as other:
        processes = Processes(tmp_path)
        record = processes.start("one", SLEEP)
        path = tmp_path / "one.process.json"
        stale = json.loads(path.read_text()) | {"pid": other.pid, "started": "another boot:1"}
        path.write_text(json.dumps(stale))
        processes.stop("one")
        assert other.poll() is None
        other.kill()
        os.kill(record.pid, signal.SIGKILL)


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="'no-such-program' is not installed"):
        Processes(tmp_path).start("one", ["no-such-program"])


def test_stopping_what_never_ran_is_no_error(tmp_path: Path) -> None:
    Processes(tmp_path).stop("one")
