"""A local AWS with CloudFormation: one server for all tests, emptied between them."""

from collections.abc import Iterator

import pytest
import requests

from pipeline.localaws.cloudformation.service import CloudFormation
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.cloudformation.world import World
from tests.localaws.conftest import free_port


@pytest.fixture(scope="session")
def cloudformation_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegion]:
    port = free_port()
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", tmp_path_factory.mktemp("local"))
    server = Server(LocalAws(region, [CloudFormation(region)]), port)
    server.start()
    yield region
    server.stop()


@pytest.fixture
def world(cloudformation_region: LocalRegion) -> World:
    """A region with nothing in it but CloudFormation."""
    # moto's state outlives its servers; without resources every stack can be deleted.
    requests.post(f"{cloudformation_region.endpoint}/moto-api/reset", timeout=10)
    made = World(cloudformation_region)
    for stack in made.api.describe_stacks()["Stacks"]:
        made.api.update_termination_protection(StackName=stack["StackId"], EnableTerminationProtection=False)
        made.delete(stack["StackId"], DeletionMode="FORCE_DELETE_STACK")
    return made
