"""A project, its bucket, its MWAA and its Airflow in one process: S3 is moto's, MWAA and Airflow are fakes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pipeline.release import deploy, situation
from pipeline.release.bucket import Bucket
from pipeline.release.deploy import Origin
from pipeline.release.order import Environment
from pipeline.release.plan import Plan
from pipeline.release.record import ReleaseRecord
from pipeline.release.tree import gather
from pipeline.release.verify import Patience
from tests.release.fakes import FakeAirflow, FakeClock, FakeMwaa
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
    patience: Patience = QUICK
    clock: FakeClock = field(default_factory=FakeClock)
    replanned: list[Plan] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    images_asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> Environment:
        return Environment(
            self.bucket,
            self.mwaa,
            self.airflow,
            keep=self.keep,
            patience=self.patience,
            pause=self.clock.pause,
            clock=self.clock,
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
            replanned=self.replanned.append,
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
        """What the bucket holds below dags/, without `_release.json`."""
        found = self.everything()
        found.pop("dags/_release.json", None)
        return found

    def everything(self) -> dict[str, str]:
        found = {}
        for key in self.bucket.listing("dags/"):
            stored = self.bucket.get(key)
            assert stored is not None
            found[key] = stored.content.decode()
        return found

    def put_by_hand(self, key: str, content: str) -> None:
        self.bucket.put(key, content.encode(), sha256(content.encode()).hexdigest())

    def current(self) -> ReleaseRecord | None:
        return situation.read(self.bucket).current


Errors = Callable[[Mapping[str, str]], Mapping[str, str]]  # of the files of a DAG folder: file → trace


def broken(files: Mapping[str, str]) -> dict[str, str]:
    """Files whose text says `broken` are."""
    return {file: "Traceback\nSyntaxError: broken" for file, text in files.items() if "broken" in text}


def watching(
    world: World, errors: Errors = lambda _: {}, *, copies_every: float = 0, finds_after: float = 0
) -> FakeAirflow:
    """An Airflow that copies the bucket, and parses its copy anew at every look.

    A Python file that says `DAG` or `make` defines the DAG of its name.

    Args:
        world: Whose bucket and clock.
        errors: What cannot be imported, and why.
        copies_every: Seconds between two copies.
        finds_after: Seconds until a file that was not there is looked into.
    """
    copy: dict[str, str] = {}
    there_since: dict[str, float] = {}
    copied_at = [float("-inf")]

    def look(airflow: FakeAirflow) -> None:
        now = world.clock()
        if now - copied_at[0] >= copies_every:
            copied_at[0] = now
            copy.clear()
            copy.update({key.removeprefix("dags/"): text for key, text in world.everything().items()})
        for file in {*there_since} - {*copy}:
            del there_since[file]
            airflow.remove(file)
        failing = errors(copy)
        for file, text in copy.items():
            since = there_since.setdefault(file, now)
            if file.endswith(".py") and now - since >= finds_after:
                ids = [file.removesuffix(".py")] if "DAG" in text or "make" in text else []
                airflow.parse(file, text, *ids, error=failing.get(file, ""))

    return FakeAirflow(each_look=look)
