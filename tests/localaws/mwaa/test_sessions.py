import json
import subprocess
from pathlib import Path

from pipeline.localaws.machine.processes import started_at
from pipeline.localaws.mwaa.components import end_left_over
from pipeline.localaws.mwaa.sessions import Sessions, title_of
from tests.localaws.mwaa.world import until


def shell(command: str) -> "subprocess.Popen[bytes]":
    """A component: it leads a session."""
    return subprocess.Popen(["bash", "-c", command], start_new_session=True)


def test_what_a_killed_server_left_is_ended_by_its_record(tmp_path: Path) -> None:
    leader = shell("sleep 300 & sleep 300; true")
    Sessions(tmp_path / "sessions.json").add(leader.pid)
    left = Sessions(tmp_path / "sessions.json")
    until(lambda: len(left.living()) == 3, "its children", 5)
    assert left.end(2) == 3
    leader.wait()
    assert not (tmp_path / "sessions.json").exists()


def test_what_a_killed_server_left_is_ended_without_a_new_one(tmp_path: Path) -> None:
    leader = shell("sleep 300")
    Sessions(tmp_path / "mwaa" / "dev" / "processes" / "sessions.json").add(leader.pid)
    end_left_over(tmp_path)
    assert leader.wait(1) != 0
    end_left_over(tmp_path)


def test_a_session_whose_leader_died_still_belongs_to_it(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions.json")
    leader = shell("sleep 300 & disown; sleep 0.3")
    sessions.add(leader.pid)
    leader.wait()
    [child] = sessions.living()
    assert sessions.end(2) == 1
    assert started_at(child) is None


def test_a_process_that_got_the_number_of_a_dead_leader_is_left_alone(tmp_path: Path) -> None:
    other = shell("sleep 300")
    (tmp_path / "sessions.json").write_text(json.dumps({other.pid: "another boot:1"}))
    try:
        assert Sessions(tmp_path / "sessions.json").end(0.5) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_worker_without_its_scheduler_may_finish_its_task(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions.json")
    named = "(exec -a 'worker: {}' cat <&3) &"
    leader = shell(f"exec 3< <(sleep 300); {named.format('<idle>')} {named.format('orders.load')} read -t 1 <> <(:)")
    sessions.add(leader.pid)
    until(lambda: _titles(sessions) == ["worker: <idle>", "worker: orders.load"], "both", 5)
    sessions.end_idle_workers()
    assert _titles(sessions) == ["worker: <idle>", "worker: orders.load"], "its scheduler lives"
    leader.wait()
    sessions.end_idle_workers()
    until(lambda: _titles(sessions) == ["worker: orders.load"], "the idle one is gone", 5)
    sessions.end(1)


def _titles(sessions: Sessions) -> list[str]:
    return sorted(title for pid in sessions.living() if (title := title_of(pid)).startswith("worker:"))
