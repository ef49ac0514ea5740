"""Subprocesses whose lines are handed on as they come."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer

import pytest

from pipeline.errors import PipelineError
from pipeline.process import CommandError, run, stream


def test_lines_of_both_outputs_come_in_order_and_without_their_ends(tmp_path: Path) -> None:
    lines: list[str] = []
    stream(
        ["sh", "-c", "echo $GREETING; echo two >&2; pwd; printf end"],
        lines.append,
        cwd=tmp_path,
        env={"GREETING": "one"},
    )
    assert lines == ["one", "two", str(tmp_path), "end"]


def test_lines_come_while_the_command_still_runs(tmp_path: Path) -> None:
    def release(_line: str) -> None:
        (tmp_path / "go").touch()

    stream(["sh", "-c", "echo ready; while [ ! -e go ]; do sleep 0.05; done"], release, cwd=tmp_path)


def test_a_failure_holds_all_it_printed() -> None:
    with pytest.raises(CommandError) as error:
        stream(["sh", "-c", "echo why; exit 3"], lambda _line: None)
    assert (error.value.code, error.value.output) == (3, "why")


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(PipelineError, match="'no-such-program' is not installed"):
        stream(["no-such-program"], lambda _line: None)


Started = Callable[[list[str], Path, Event], object]


@pytest.mark.parametrize(
    "start",
    [
        lambda command, cwd, stop: stream(command, lambda _line: None, cwd=cwd, stop=stop),
        lambda command, cwd, stop: run(command, cwd=cwd, stop=stop),
    ],
    ids=["stream", "run"],
)
def test_a_stop_ends_the_command_and_what_it_started(tmp_path: Path, start: Started) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(PipelineError, match="was stopped"):
        start(["sh", "-c", "(sleep 2; touch late) & sleep 60"], tmp_path, stop)
    assert time.monotonic() - started < 5
    time.sleep(2)
    assert not (tmp_path / "late").exists()


def test_a_command_that_takes_too_long_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(PipelineError, match=r"`sleep 60` did not end within 0\.2 s"):
        run(["sleep", "60"], timeout=0.2)
    assert time.monotonic() - started < 5


def test_when_nobody_takes_the_lines_any_more_the_command_ends() -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stream(["sh", "-c", "echo; sleep 60"], interrupt)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("call", [run, lambda command: stream(command, print)], ids=["run", "stream"])
@pytest.mark.parametrize(("mode", "why"), [(0o644, "Permission denied"), (0o755, "Exec format error")])
def test_a_program_that_cannot_be_run_is_no_traceback(
    tmp_path: Path, call: Callable[[list[str]], object], mode: int, why: str
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF, but for another machine")
    program.chmod(mode)
    with pytest.raises(PipelineError, match=f"cannot be run: {why}"):
        call([str(program)])
