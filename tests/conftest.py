"""Fixtures for all tests. What only one package needs stays in that package's own conftest."""

from tests.engine import docker_engine

__all__ = ["docker_engine"]
