"""The shell with real shells: `sh` as CodeBuild's default, and `bash`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer
from time import monotonic
from uuid import uuid4

import pytest

from pipeline.localaws.codebuild.build_processes import BuildProcesses
from pipeline.localaws.codebuild.shell import Shell, StoppedError, TimedOutError


@dataclass
class Session:
    shell: Shell
    processes: BuildProcesses
    stopped: Event
    printed: list[bytes] = field(default_factory=list)

    def run(self, command: str, *, succeeding: bool = True) -> tuple[int, str]:
        self.printed.clear()
        code = self.shell.run(command, succeeding=succeeding)
        return code, b"".join(self.printed).decode()


@pytest.fixture(params=["sh", "bash"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    mark = uuid4().hex
    processes = BuildProcesses(mark, tmp_path / "processes" / f"{mark}.json")
    printed: list[bytes] = []
    stopped = Event()
    environment = {"PATH": os.environ["PATH"], **processes.environment}
    shell = Shell(
        request.param, tmp_path / "control", tmp_path, environment, printed.append, processes, stopped, monotonic() + 30
    )
    yield Session(shell, processes, stopped, printed)
    processes.end(0.2, shell.drain)
    shell.close()


def test_variables_and_the_folder_carry_over(session: Session) -> None:
    assert session.run("export A='x  y'; B=2; cd /usr") == (0, "")
    assert session.run('echo "$A-$B"; pwd') == (0, "x  y-2\n/usr\n")


def test_functions_carry_over(session: Session) -> None:
    session.run("greet() { echo hello; }")
    assert session.run("greet") == (0, "hello\n")


@pytest.mark.parametrize(
    ("command", "code"), [("true", 0), ("false", 1), ("exit 3", 3), ("set -e; false; echo no", 1), ("kill -9 $$", 137)]
)
def test_a_commands_exit_code_is_its_own(session: Session, command: str, code: int) -> None:
    assert session.run(command)[0] == code


def test_a_command_that_ends_the_shell_does_not_end_its_state(session: Session) -> None:
    session.run("export A=1; B='two\nlines'; cd /usr; readonly C=3")
    assert session.run("exit 4") == (4, "")
    assert session.run('echo "$A $B $C"; pwd') == (0, "1 two\nlines 3\n/usr\n")


def test_a_syntax_error_fails_the_command_only(session: Session) -> None:
    code, printed = session.run("if then")
    assert code == 2
    assert "yntax error" in printed
    assert session.run("echo still here") == (0, "still here\n")


def test_errors_and_output_come_in_order(session: Session) -> None:
    assert session.run("echo 1; echo 2 >&2; echo 3") == (0, "1\n2\n3\n")


def test_nothing_waits_for_a_person(session: Session) -> None:
    assert session.run("cat; read -r x || echo nobody") == (0, "nobody\n")


def test_commands_know_whether_the_build_is_succeeding(session: Session) -> None:
    assert session.run("env | grep SUCCEEDING", succeeding=False) == (0, "CODEBUILD_BUILD_SUCCEEDING=0\n")


def test_values_are_read_as_they_are(session: Session) -> None:
    session.run("A='quote\" $x\nline'; export B=; set -u")
    assert session.shell.values(("A", "B", "NOT_SET")) == {"A": 'quote" $x\nline', "B": ""}


def test_much_output_does_not_block(session: Session) -> None:
    code, printed = session.run("seq 200000")
    assert (code, len(printed.splitlines())) == (0, 200_000)


def test_a_background_child_keeps_neither_the_command_nor_the_shell_waiting(session: Session) -> None:
    started = monotonic()
    assert session.run("sleep 60 &")[0] == 0
    assert session.run("exit 0")[0] == 0
    assert monotonic() - started < 10


def test_a_stop_ends_the_wait(session: Session) -> None:
    Timer(0.2, session.stopped.set).start()
    with pytest.raises(StoppedError):
        session.run("sleep 60")


def test_the_deadline_ends_the_wait(session: Session) -> None:
    session.shell.deadline = monotonic() + 0.2
    with pytest.raises(TimedOutError):
        session.run("sleep 60")


def test_all_processes_end_with_the_build_wherever_they_went(session: Session) -> None:
    session.run("sleep 60 & setsid sleep 60 & (trap '' TERM; sleep 60; sleep 60) &")
    session.run("exit 0")
    session.run("env -i sleep 60 &")
    assert len(session.processes.living()) >= 5
    started = monotonic()
    session.processes.end(0.5, session.shell.drain)
    assert session.processes.living() == []
    assert monotonic() - started < 5


def test_a_record_of_a_killed_server_finds_its_processes_and_no_others(session: Session, tmp_path: Path) -> None:
    session.run("setsid sleep 60 & sleep 60 & sleep 0.5")
    record = next((tmp_path / "processes").glob("*.json"))
    other = BuildProcesses.left_over(tmp_path / "processes" / "somebody-else.json")
    assert other.living() == []
    assert BuildProcesses.left_over(record).end(0.5) == 3
    assert session.processes.living() == []
    assert not record.exists()


def test_a_record_with_a_pid_that_is_somebody_elses_now_touches_nothing(tmp_path: Path) -> None:
    record = tmp_path / "gone.json"
    record.write_text(f'{{"{os.getpgid(0)}": "boot:1", "{os.getpid()}": "boot:1"}}')
    assert BuildProcesses.left_over(record).end(0.1) == 0
    record.write_text("half a rec")
    assert BuildProcesses.left_over(record).end(0.1) == 0
