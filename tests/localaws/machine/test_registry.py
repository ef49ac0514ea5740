"""The registry as a child process."""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.machine.processes import Processes, started_at
from pipeline.localaws.machine.registry import SOCKET, Registry
from pipeline.localaws.machine.registry_storage import RegistryStorage


def _answers(registry: Registry) -> bool:
    with closing(registry.connect()) as connection:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 200


def test_it_answers_on_a_socket_of_its_own_until_it_is_stopped(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.start()
    assert _answers(registry)
    registry.stop()
    assert not (tmp_path / "registry" / SOCKET).exists()
    with pytest.raises(OSError, match="No such file"):
        _answers(registry)


def test_its_folder_may_lie_deeper_than_a_sockets_path_may_be_long(tmp_path: Path) -> None:
    registry = Registry(tmp_path / ("deep" * 40) / "registry")
    registry.start()
    assert _answers(registry)
    registry.stop()


def test_one_that_a_killed_server_left_is_replaced(tmp_path: Path) -> None:
    left = Registry(tmp_path)
    left.start()
    record = Processes(tmp_path).record("registry")
    assert record is not None
    registry = Registry(tmp_path)
    registry.start()
    assert started_at(record.pid) is None
    assert _answers(registry)
    registry.stop()


def test_one_that_was_killed_starts_again_over_its_old_socket(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.start()
    record = Processes(tmp_path).record("registry")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    registry.start()
    assert _answers(registry)
    registry.stop()


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    (tmp_path / SOCKET).mkdir()
    (tmp_path / SOCKET / "in the way").touch()
    with pytest.raises(PipelineError, match=r"did not start(?s:.*)registry\.sock"):
        registry.start()


@pytest.mark.parametrize("name", ["../outside", "a//b", "", "a/../../b"])
def test_a_name_that_leaves_the_storage_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a repository"):
        RegistryStorage(tmp_path).images(name)


def test_a_tag_or_digest_that_leaves_the_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not match"):
        RegistryStorage(tmp_path).delete_tag("a", "../b")
    with pytest.raises(ValueError, match="does not match"):
        RegistryStorage(tmp_path).delete_image("a", "sha256:../b")
