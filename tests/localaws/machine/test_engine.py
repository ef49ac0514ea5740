"""A real Docker engine, started and stopped, and what is left of it."""

import os
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.machine.base_images import BaseImages
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.machine.processes import process_ids

pytestmark = pytest.mark.docker


def _traces(engine: Engine) -> list[str]:
    """Everything of this engine that the machine still knows."""
    own = engine.own
    found = [f"folder {own.runtime}"] if own.runtime.exists() else []
    for pid in process_ids():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue
        if str(own.runtime) in command or own.name in groups:
            found.append(f"process {pid} {command!r}")
    for what, command_line in {
        "mount": ["cat", "/proc/mounts"],
        "interface": ["ip", "-o", "address"],
        "rule": ["iptables-save"],
        "socket": ["cat", "/proc/net/unix"],
    }.items():
        lines = subprocess.run(command_line, capture_output=True, text=True, check=True).stdout.splitlines()
        marks = (own.name, own.bridge, str(own.data))
        found += [f"{what} {line}" for line in lines if any(mark in line for mark in marks)]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/{own.name}")]
    return found


def test_our_own_engine_goes_without_a_trace(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "docker", use_existing=False)
    engine.start()
    assert engine.is_ours
    assert engine.client.ping()
    engine.client.networks.create("somebodys")
    assert _traces(engine)
    engine.stop()
    assert _traces(engine) == []


def test_two_engines_run_side_by_side(tmp_path: Path, docker_engine: Engine) -> None:
    other = Engine(tmp_path / "docker", use_existing=False)
    other.start()
    try:
        assert other.client.info()["DockerRootDir"] != docker_engine.client.info()["DockerRootDir"]
    finally:
        other.stop()
    assert docker_engine.client.ping()


def test_an_engine_that_runs_is_used_and_never_stopped(tmp_path: Path, docker_engine: Engine) -> None:
    engine = Engine(tmp_path / "docker", docker_host=docker_engine.host)
    engine.start()
    assert engine.host == docker_engine.host
    assert not engine.is_ours
    engine.stop()
    assert docker_engine.client.ping()
    assert not (tmp_path / "docker").exists()


def test_what_a_killed_server_left_is_cleaned_up_with_its_containers(tmp_path: Path, base_images: BaseImages) -> None:
    folder = tmp_path / "docker"
    base_images.ensure({"Dockerfile": "FROM debian"})  # now it is in the cache
    crash = """
import os, signal, sys
from pathlib import Path
from time import monotonic
from pipeline.localaws.machine.base_images import BaseImages, HostSettings
from pipeline.localaws.machine.engine import Engine
engine = Engine(Path(sys.argv[1]), use_existing=False)
engine.start()
cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BaseImages(engine.client, cache, HostSettings.read(os.environ, Path.home()), lambda _: None).ensure({"": "FROM debian"})
engine.client.containers.run("debian", ["sleep", "600"], detach=True)
os.kill(int((engine.own.runtime / "docker.pid").read_text()), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", crash, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    engine = Engine(folder, use_existing=False)
    assert any("sleep" in trace for trace in _traces(engine))
    assert any(trace.startswith("mount") for trace in _traces(engine))
    engine.clean_up()
    assert _traces(engine) == []


def test_a_container_reaches_the_host_and_the_hosts_name_servers(
    docker_engine: Engine, base_images: BaseImages
) -> None:
    base_images.ensure({"Dockerfile": "FROM debian"})
    settings = docker_engine.client.containers.run("debian", ["cat", "/etc/resolv.conf"], remove=True).decode()
    server = ThreadingHTTPServer(("0.0.0.0", 0), SimpleHTTPRequestHandler)  # noqa: S104 - a container calls from outside
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        gateway = docker_engine.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
        script = f"import urllib.request as u; print(u.urlopen('http://{gateway}:{server.server_port}/').status)"
        answer = docker_engine.client.containers.run("debian", ["python3", "-c", script], remove=True)
        assert answer == b"200\n"
    finally:
        server.shutdown()
        server.server_close()
    assert "nameserver" in settings


def test_an_engine_that_does_not_start_says_why(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "docker", use_existing=False)
    engine.own.data.parent.mkdir()
    engine.own.data.write_text("a file where the data folder should be")
    with pytest.raises(PipelineError, match=r"(?s)did not start.*Unable to get the full path"):
        engine.start()
    assert _traces(engine) == []


def test_an_engine_that_cannot_be_started_again_is_not_tried_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(tmp_path / "docker", use_existing=False)
    engine.start()
    try:
        engine.look_after()
        assert caplog.messages == []
        os.kill(int((engine.own.runtime / "docker.pid").read_text()), signal.SIGKILL)
        monkeypatch.setenv("PATH", str(tmp_path))
        deadline = monotonic() + 10
        while not caplog.messages and monotonic() < deadline:
            engine.look_after()
        told = list(caplog.messages)
        assert told[0] == "the Docker engine died, and is started again"
        engine.look_after()
        assert caplog.messages == told
    finally:
        monkeypatch.undo()
        engine.stop()
    assert _traces(engine) == []
