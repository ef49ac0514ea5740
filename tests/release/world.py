"""A project, its bucket, its MWAA and its Airflow in one process: S3 is moto's, MWAA and Airflow are fakes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pipeline.release import deploy, situation
from pipeline.release.bucket import Bucket
from pipeline.release.deploy import Origin
from pipeline.release.execution import Environment
from pipeline.release.record import ReleaseRecord
from pipeline.release.tree import gather
from pipeline.release.verify import Patience
from tests.release.fakes import FakeAirflow, FakeMwaa
from tests.release.values import ORIGIN, deployment, write

QUICK = Patience(copied=0, settled=0, deadline=0.3, poll=0.01)


@dataclass
class World:
    """A project, its bucket, its MWAA, and an Airflow that sees the bucket."""

    folder: Path
    bucket: Bucket
    mwaa: FakeMwaa = field(default_factory=FakeMwaa)
    airflow: FakeAirflow | None = None
    keep: tuple[str, ...] = ()
    canary: str | None = None
    wait_for_runs: float = 0
    revision: int = 1
    said: list[str] = field(default_factory=list)
    images_asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> Environment:
        return Environment(
            self.bucket,
            self.mwaa,
            self.airflow,
            keep=self.keep,
            patience=QUICK,
            pause=lambda _: None,
            canary=self.canary,
            wait_for_runs=self.wait_for_runs,
        )

    def images(self, arns: Mapping[str, str]) -> dict[str, str]:
        self.images_asked += arns.values()
        return {name: f"image-of-{arn.rpartition(':')[2]}" for name, arn in arns.items()}

    def prepare(self) -> deploy.Prepared:
        deployed = deployment(self.bucket.name, self.revision)
        return deploy.prepare(self.bucket, lambda: gather(self.folder), deployed, self.keep)

    def finish(self, prepared: deploy.Prepared, origin: Origin = ORIGIN) -> ReleaseRecord:
        return deploy.sync(
            self.environment,
            prepared,
            deployment=deployment(self.bucket.name, self.revision),
            origin=origin,
            find_images=self.images,
            tell=self.said.append,
        )

    def sync(self, files: Mapping[str, str | bytes | None] | None = None, origin: Origin = ORIGIN) -> ReleaseRecord:
        for name, content in (files or {}).items():
            if content is None:
                (self.folder / name).unlink()
            else:
                write(self.folder, {name: content})
        return self.finish(self.prepare(), origin)

    def roll_back(self, to: str | None = None) -> ReleaseRecord:
        now, target, plan = deploy.prepare_rollback(self.bucket, to, self.keep)
        return deploy.roll_back(self.environment, now, target, decided=plan, origin=ORIGIN, tell=self.said.append)

    def contents(self) -> dict[str, str]:
        found = {}
        for key in self.bucket.listing("dags/"):
            stored = self.bucket.get(key)
            assert stored is not None
            found[key] = stored.content.decode()
        found.pop("dags/_release.json", None)
        return found

    def put_by_hand(self, key: str, content: str) -> None:
        self.bucket.put(key, content.encode(), sha256(content.encode()).hexdigest())

    def current(self) -> ReleaseRecord | None:
        return situation.read(self.bucket).current
