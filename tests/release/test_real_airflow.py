"""Releases to a real Airflow behind the local MWAA: verified there, and taken back when it says no."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from pipeline.errors import PipelineError
from pipeline.release import deploy, lock
from pipeline.release.airflow import MwaaAirflow
from pipeline.release.mwaa import MwaaEnvironment
from pipeline.release.order import Environment
from pipeline.release.record import ReleaseRecord
from pipeline.release.s3 import S3Bucket
from pipeline.release.tree import gather
from pipeline.release.verify import Patience, observe
from tests.localaws.mwaa.world import World as LocalMwaa
from tests.release.values import ORIGIN, deployment, write

pytestmark = pytest.mark.airflow

# The local MWAA copies the bucket every few seconds; a loaded machine is slow at everything else.
PATIENCE = Patience(copied=15, settled=25, deadline=180, poll=2)

DAG = """
from airflow.sdk import DAG, task
from greetings import GREETING

with DAG("smoke", schedule=None, is_paused_upon_creation=False):

    @task
    def say():
        {does}

    say()
"""


@dataclass
class World:
    """A project and the real Airflow it is released to."""

    folder: Path
    environment: Environment
    said: list[str] = field(default_factory=list)

    def sync(self, files: dict[str, str | None]) -> ReleaseRecord:
        for name, content in files.items():
            if content is None:
                (self.folder / name).unlink()
            else:
                write(self.folder, {name: content})
        deployed = deployment(self.environment.bucket.name)
        return deploy.sync(
            self.environment,
            deploy.prepare(self.environment.bucket, lambda: gather(self.folder), deployed, ()),
            deployment=deployed,
            origin=ORIGIN,
            find_images=lambda _: {},
            tell=self.said.append,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("release")
    local = LocalMwaa.start(folder / "local", "released")
    with pytest.MonkeyPatch.context() as variables:
        for name, value in local.region.environment().items():
            variables.setenv(name, value)
        try:
            local.make_bucket()
            local.create()
            assert local.settled()["Status"] == "AVAILABLE"
            session = boto3.Session()
            environment = Environment(
                S3Bucket(session, local.bucket),
                MwaaEnvironment(session, local.name),
                MwaaAirflow(session, local.name),
                patience=PATIENCE,
                canary="smoke",
            )
            (folder / "dags").mkdir()
            yield World(folder / "dags", environment)
        finally:
            local.server.stop()


def test_a_release_is_verified_run_broken_and_taken_back(world: World) -> None:
    airflow = world.environment.airflow
    assert airflow is not None
    good = DAG.format(does="print(GREETING)")
    first = world.sync({"smoke.py": good, "greetings.py": "GREETING = 'hello'\n"})
    assert first.verified
    assert "canary smoke: success" in world.said
    assert set(observe(airflow).dags) == {"smoke"}

    with pytest.raises(PipelineError, match=r"(?s)smoke\.py has an import error.*GREETING") as error:
        world.sync({"greetings.py": "FAREWELL = 'bye'\n"})
    assert f"Release {first.id} was restored: 1 files put back, 0 deleted" in error.value.mend
    assert lock.read(world.environment.bucket).pointer.lock is None

    with pytest.raises(PipelineError, match=r"(?s)smoke\.py has an import error.*GREETING"):
        world.sync({})  # at once, while Airflow still shows the error of the first try

    with pytest.raises(PipelineError, match="failed, in say"):
        world.sync({"greetings.py": "GREETING = 'hello'\n", "smoke.py": DAG.format(does="raise ValueError(GREETING)")})

    world.said.clear()
    with pytest.raises(PipelineError, match="pip could not install requirements") as refused:
        world.sync({"smoke.py": good, "requirements.txt": "boto3==1.0.0\n"})
    assert "boto3==1.0.0" in refused.value.what
    assert first.id in refused.value.mend
    assert lock.read(world.environment.bucket).pointer.release == first.id

    second = world.sync({"requirements.txt": None, "smoke.py": DAG.format(does="print('again', GREETING)")})
    assert second.verified
    assert second.previous == first.id
