"""Fixtures for all tests. What only one package needs stays in that package's own conftest."""

from tests.engine import base_images, docker_engine

__all__ = ["base_images", "docker_engine"]
