"""Environments outlive the server, and nothing outlives the server by mistake."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from pipeline.localaws.machine.processes import process_ids, started_at
from tests.localaws.conftest import free_port
from tests.localaws.mwaa.world import DAG, ROOT, World, until

pytestmark = pytest.mark.airflow

SERVER = """
import sys, time
from pathlib import Path
from tests.localaws.mwaa.world import DAG, World
world = World.start(Path(sys.argv[1]), "kept", int(sys.argv[2]))
world.make_bucket()
world.put("dags/words.py", 'GREETING = "Hello"')
world.put("dags/greet.py", DAG)
world.create()
assert world.settled()["Status"] == "AVAILABLE"
print(world.run("greet"), flush=True)
time.sleep(600)
"""


def sessions(folder: Path) -> set[int]:
    """The sessions on record."""
    found = [json.loads(record.read_text()) for record in folder.glob("mwaa/*/processes/sessions.json")]
    return {int(leader) for record in found for leader in record}


def alive(of: set[int]) -> list[int]:
    """The processes in these sessions."""
    found = []
    for pid in process_ids():
        with suppress(ProcessLookupError):
            if os.getsid(pid) in of and started_at(pid):
                found.append(pid)
    return found


def test_an_environment_outlives_a_killed_server_with_its_history(tmp_path: Path) -> None:
    folder, port = tmp_path / "local", free_port()
    first = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "success\n"
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stdout.close()
    left = sessions(folder)
    assert alive(left), "a killed server cannot end its Airflow"
    second = World.start(folder, "kept", port)
    try:
        # moto forgot the bucket, so no environment is shown; whoever creates it again finds its database.
        assert second.region.client("mwaa").list_environments()["Environments"] == []
        assert not alive(left)
        second.make_bucket()
        second.put("dags/words.py", 'GREETING = "Hello"')
        second.put("dags/greet.py", DAG)
        second.create()
        assert second.settled()["Status"] == "AVAILABLE"
        runs = second.rest("GET", "/dags/greet/dagRuns")["dag_runs"]
        assert [run["state"] for run in runs] == ["success"]
        ours = sessions(folder)
        assert alive(ours)
    finally:
        began = monotonic()
        second.server.stop()
    assert monotonic() - began < 20
    assert not alive(ours)
    assert not sessions(folder)


def test_a_deleted_environment_leaves_nothing(tmp_path: Path) -> None:
    world = World.start(tmp_path / "local", "deleted")
    try:
        world.make_bucket()
        world.create()
        assert world.settled()["Status"] == "AVAILABLE"
        ours = sessions(world.region.folder)
        mwaa = world.region.client("mwaa")
        mwaa.delete_environment(Name=world.name)
        until(lambda: mwaa.list_environments()["Environments"] == [], "it is gone", 30)
        assert not alive(ours)
        assert not (world.region.folder / "mwaa" / world.name).exists()
    finally:
        world.server.stop()
