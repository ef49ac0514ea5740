"""A server that is killed in the middle of a build: the next one ends what it left."""

import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.service import CodeBuild, end_left_over
from pipeline.localaws.machine.processes import mark_of, process_ids
from pipeline.localaws.region import LocalRegion
from tests.localaws.conftest import free_port

SERVER = """
import json, os, sys, time
from pathlib import Path
from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.service import CodeBuild
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
port, folder = int(sys.argv[1]), Path(sys.argv[2])
region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder)
Server(LocalAws(region, [CodeBuild(region, Host(dict(os.environ), Path(sys.executable)))]), port).start()
region.client("iam").create_role(RoleName="build", AssumeRolePolicyDocument="{}")
codebuild = region.client("codebuild")
codebuild.create_project(
    name="killed",
    source={"type": "NO_SOURCE", "buildspec": json.dumps({"version": "0.2", "phases": {"build": {"commands": [
        "sleep 300 & setsid sleep 300 & touch started; sleep 300"]}}})},
    artifacts={"type": "NO_ARTIFACTS"},
    environment={"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
    serviceRole="arn:aws:iam::123456789012:role/build",
)
print(codebuild.start_build(projectName="killed")["build"]["id"], flush=True)
time.sleep(300)
"""


def left(build: str) -> list[int]:
    """The processes that carry a build's mark."""
    return [pid for pid in process_ids() if mark_of(pid) == build]


def killed_in_a_build(folder: Path, port: int) -> str:
    """Start a server, let a build run, and kill the server; returns the build's mark."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        build = server.stdout.readline().strip().partition(":")[2]
        until = monotonic() + 60
        while monotonic() < until and not list(folder.glob("codebuild/builds/*/src/00/started")):
            sleep(0.05)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    assert build, "the server did not come as far as a build"
    return build


def test_the_next_server_ends_the_builds_of_one_that_was_killed(tmp_path: Path) -> None:
    build = killed_in_a_build(tmp_path, free_port())
    assert len(left(build)) == 4
    service = CodeBuild(LocalRegion("http://127.0.0.1:1", "eu-west-1", tmp_path), Host({}, Path(sys.executable)))
    service.start()
    try:
        assert left(build) == []
        assert not (tmp_path / "codebuild" / "builds").exists()
        assert list((tmp_path / "codebuild" / "processes").iterdir()) == []
    finally:
        service.stop()


def test_builds_of_a_killed_server_can_be_ended_without_a_new_one(tmp_path: Path) -> None:
    build = killed_in_a_build(tmp_path, free_port())
    end_left_over(tmp_path)
    assert left(build) == []
    end_left_over(tmp_path)
