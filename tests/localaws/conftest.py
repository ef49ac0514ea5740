"""A local AWS for tests: a real server on a free port."""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.localaws.service import Service, WsgiApp

Serve = Callable[..., LocalRegion]


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers; `serve(make_services, mounts=...)` gives the region to talk to. All are stopped at the end."""
    servers: list[Server] = []

    def start(
        services: Callable[[LocalRegion], Sequence[Service]] = lambda _: (),
        mounts: Callable[[LocalRegion], dict[str, WsgiApp]] = lambda _: {},
    ) -> LocalRegion:
        port = free_port()
        region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", tmp_path / "local")
        region.folder.mkdir(exist_ok=True)
        server = Server(LocalAws(region, services(region), mounts(region)), port)
        server.start()
        servers.append(server)
        return region

    yield start
    for server in servers:
        server.stop()
