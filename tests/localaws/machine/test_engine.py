"""A real Docker engine, started and stopped."""

import pytest

from pipeline.localaws.machine.engine import Engine


@pytest.mark.docker
def test_an_engine_answers(docker_engine: Engine) -> None:
    assert docker_engine.client.ping()
