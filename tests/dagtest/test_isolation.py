"""What runs the DAG files: real processes, real signals."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.dagtest.worker import isolation
from pipeline.dagtest.worker.isolation import OUTPUT_KEPT, Limits, Tell, Work, in_processes

MEMORY = 1 << 30


def run(work: Work, paths: list[str], *, seconds: float = 10, processes: int = 2) -> dict[str, dict[str, Any]]:
    found = in_processes(paths, work, Limits(processes, seconds, MEMORY))
    return {result["path"]: result for result in found}


def hang() -> None:
    while True:
        pass


def leave() -> None:
    raise SystemExit("bye")


def chatter() -> None:
    for _ in range(3_000):
        os.write(1, b"x" * 1_000)
    os.write(2, b"the end")


# What a DAG file may do while it is imported. Everything else is a good file.
DEEDS: dict[str, Callable[[], object]] = {
    "hangs": hang,
    "ends": lambda: os._exit(3),
    "ends well": lambda: os._exit(0),
    "raises": leave,
    "dies": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "prints": chatter,
    "eats": lambda: bytearray(5_000_000_000),
    "forks": os.fork,
    "closes": lambda: os.closerange(0, 256),
}


def behave(path: str, _: Tell) -> dict[str, Any]:
    DEEDS.get(path, int)()
    return {"name": path}


@pytest.mark.parametrize(
    ("path", "outcome", "how"),
    [
        ("good", "done", None),
        ("ends", "ended", "ended its process with code 3"),
        ("ends well", "ended", "ended its process with code 0"),
        ("raises", "ended", "ended its process with code 1"),
        ("dies", "ended", "was killed by SIGTERM"),
        ("eats", "ended", "ended its process with code 1"),
        ("forks", "done", None),
        ("closes", "ended", "ended its process with code 1"),
        ("prints", "done", None),
    ],
)
def test_whatever_a_file_does_is_its_own_result_and_said_in_words(path: str, outcome: str, how: str | None) -> None:
    results = run(behave, [path, "good neighbour"])
    assert (results[path]["outcome"], results[path].get("how")) == (outcome, how)
    assert results["good neighbour"]["result"] == {"name": "good neighbour"}


def test_a_file_that_hangs_is_ended_in_time_and_holds_up_nobody() -> None:
    started = time.monotonic()
    results = run(behave, ["hangs", *map(str, range(20))], seconds=1)
    assert time.monotonic() - started < 3
    assert results["hangs"]["outcome"] == "timed out"
    assert [results[str(n)]["outcome"] for n in range(20)] == ["done"] * 20


def test_a_file_that_hangs_says_where_it_was() -> None:
    printed = run(behave, ["hangs"], seconds=0.5)["hangs"]["printed"]
    assert re.search(rf'File "{__file__}", line \d+ in hang', printed)


def test_when_the_budget_is_used_up_the_rest_is_not_begun_and_the_run_ends() -> None:
    started = time.monotonic()
    limits = Limits(2, seconds=60, memory=MEMORY, budget=1)
    results = {
        result["path"]: result["outcome"] for result in in_processes(["hangs", *"abcd", "hangs", "e"], behave, limits)
    }
    assert time.monotonic() - started < 4
    assert results == {"hangs": "timed out", **dict.fromkeys("abcd", "done"), "e": "not begun"}


def test_of_megabytes_printed_the_end_is_kept() -> None:
    printed = run(behave, ["prints"])["prints"]
    assert printed["printed"].endswith("xxxthe end")
    assert len(printed["printed"]) == OUTPUT_KEPT
    assert printed["printed_bytes"] == 3_000_007


def test_what_a_file_printed_before_it_died_is_kept() -> None:
    def last_words(_: str, tell: Tell) -> dict[str, Any]:
        tell({"kind": "exit"})
        os.write(1, b"about to end")
        os._exit(1)

    result = run(last_words, ["x"])["x"]
    assert "about to end" in result["printed"]
    assert result["events"] == [{"kind": "exit"}]


def test_what_a_file_starts_ends_with_it(tmp_path: Path) -> None:
    def starts_a_process(path: str, _: Tell) -> dict[str, Any]:
        child = subprocess.Popen(["sleep", "60"])
        Path(path).write_text(str(child.pid))
        return {}

    file = tmp_path / "pid"
    assert run(starts_a_process, [str(file)])[str(file)]["outcome"] == "done"
    assert _is_gone(int(file.read_text()))


def _is_gone(pid: int) -> bool:
    """Whether a process ends within two seconds; one that nobody has waited for yet has ended, too."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_result_larger_than_a_pipe_arrives_whole() -> None:
    def much(_: str, __: Tell) -> dict[str, Any]:
        return {"text": "x" * 3_000_000}

    assert len(run(much, ["x"])["x"]["result"]["text"]) == 3_000_000


def test_giving_up_half_way_leaves_no_process_behind() -> None:
    before = children()
    results = in_processes(["good", "hangs", "hangs"], behave, Limits(2, 60, MEMORY))
    assert next(results)["path"] == "good"
    assert children() - before
    results.close()  # type: ignore[attr-defined]  # a generator, though the port only says iterator
    assert children() - before == set()


def test_giving_up_ends_a_process_that_leads_no_group_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    results = in_processes(["good", "slow to start"], behave, Limits(1, 60, MEMORY))
    assert next(results)["path"] == "good"
    monkeypatch.setattr(os, "setsid", lambda: time.sleep(60))
    monkeypatch.setattr(isolation, "_read", give_up)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert time.monotonic() - started < 10
    assert children() - before == set()


def give_up(*_: object) -> None:
    raise KeyboardInterrupt


def children() -> set[int]:
    """Our own, also those that ended and were not waited for."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}
