"""One clone and one local AWS for the whole journey."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.project import Project
from tests.localaws.conftest import free_port

PROJECT = Path(__file__).parents[2]
# Tests of the pipeline's own code: a team keeps those it wants. Without them an execution takes as long as theirs.
NOT_THE_TEAMS = (
    "tests/benchmarks",
    "tests/dagtest",
    "tests/images",
    "tests/journey",
    "tests/localaws",
    "tests/release",
)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The clone; its local AWS is stopped at the end, whatever happened."""
    folder = tmp_path_factory.mktemp("journey")
    cloned = Project.copied_from(PROJECT, folder, free_port())
    for name in NOT_THE_TEAMS:
        shutil.rmtree(cloned.folder / name, ignore_errors=True)
    cloned.commit("Keep the tests that are ours")
    yield cloned
    cloned.sh("make", "clean")
    shutil.rmtree(folder, ignore_errors=True)
