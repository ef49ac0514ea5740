"""Fixtures for all tests. What only one package needs stays in that package's own conftest."""

import signal

import pytest

from tests.engine import base_images, docker_engine

__all__ = ["base_images", "docker_engine"]

LONGEST_FIRST = ("journey", "airflow", "faults", "docker")  # by their markers


def pytest_configure() -> None:
    """Let the processes that tests start hear Ctrl-C, also where a shell runs the tests in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nothing long is left when the other workers have ended."""

    def rank(item: pytest.Item) -> int:
        return next((rank for rank, name in enumerate(LONGEST_FIRST) if item.get_closest_marker(name)), 9)

    of_file: dict[str, int] = {}
    for item in items:
        file = str(item.path)
        of_file[file] = min(rank(item), of_file.get(file, 9))
    items.sort(key=lambda item: of_file[str(item.path)])
