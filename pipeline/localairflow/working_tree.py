"""Airflow on the working tree: an environment without a pipeline, whose bucket follows the files as they are edited."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any, Final

from pipeline import names
from pipeline.dagtest.variants import OPTION
from pipeline.errors import PipelineError
from pipeline.localairflow.environment import LocalEnvironment
from pipeline.localaws.region import LocalRegion
from pipeline.release.record import PartName
from pipeline.release.tree import PART_KEYS, Source, Tree, gather
from pipeline.settings import Settings

LOOK: Final = 1.0  # seconds between two looks at the files
_MEMBERS: Final[dict[PartName, tuple[str, str]]] = {
    "requirements": ("RequirementsS3Path", "RequirementsS3ObjectVersion"),
    "plugins": ("PluginsS3Path", "PluginsS3ObjectVersion"),
    "startup": ("StartupScriptS3Path", "StartupScriptS3ObjectVersion"),
}
_COMPONENTS: Final = ("DagProcessingLogs", "SchedulerLogs", "TaskLogs", "WebserverLogs", "WorkerLogs")
# Nobody is billed for looking often, and someone waits for it: an edit shows in seconds.
_OPTIONS: Final = {"dag_processor.refresh_interval": "2", "dag_processor.bundle_refresh_check_interval": "1"}


@dataclass(frozen=True)
class Difference:
    """What the bucket lacks of the tree, in order of publishing."""

    upload: tuple[str, ...]
    delete: tuple[str, ...]
    parts: tuple[PartName, ...]

    def __bool__(self) -> bool:
        return bool(self.upload or self.delete or self.parts)


def difference(sent: Mapping[str, str], tree: Tree) -> Difference:
    """Compare what was sent (key → checksum) with the tree: imported files first, deletions last."""
    changed = [source for key, source in tree.files.items() if sent.get(key) != source.sha256]
    parts: list[PartName] = [part for part, source in tree.parts.items() if sent.get(source.key) != source.sha256]
    wanted = {*tree.files, *(source.key for source in tree.parts.values())}
    return Difference(
        upload=tuple(source.key for source in sorted(changed, key=lambda source: (source.level, source.key))),
        delete=tuple(sorted(key for key in sent if key not in wanted and key not in PART_KEYS.values())),
        parts=tuple(parts),
    )


@dataclass
class WorkingTree:
    """An environment that follows a working tree.

    Args:
        region: The local AWS.
        settings: The project's.
        project: Its folder.
        tell: Takes a sentence for people.
    """

    region: LocalRegion
    settings: Settings
    project: Path
    tell: Callable[[str], None]
    _sent: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> LocalEnvironment:
        """The environment: that of the project's first one, so that every command finds it."""
        return LocalEnvironment(
            self.region, names.airflow_environment(self.settings, next(iter(self.settings.environments)))
        )

    @property
    def bucket(self) -> str:
        """Where the files go."""
        return f"{self.settings.name}-working-tree-{self.region.account}"

    def up(self) -> None:
        """Let Airflow run on the files as they are now.

        Raises:
            PipelineError: A pipeline has deployed the environment already, or Airflow does not come up.
        """
        self._make_bucket()
        versions = self._send(gather(self.project / "dags"))
        name = self.environment.name
        if name not in self.region.client("mwaa").list_environments()["Environments"]:
            self.environment.create(self._request(name, versions))
        elif str(self.environment.described()["SourceBucketArn"]).rpartition(":")[2] != self.bucket:
            raise PipelineError(
                "the pipeline has deployed it already, and its DAGs come from commits",
                where=name,
                mend="Push your edit: git push local main. Or start anew: pipeline local down, then --airflow-only",
            )
        else:
            self.environment.update(versions)

    def follow(self, *, pause: Callable[[float], None] = sleep) -> None:
        """Send every edit as it is saved, until interrupted."""
        while True:
            pause(LOOK)
            self.look()

    def look(self) -> bool:
        """Send what changed since the last look; whether anything did."""
        try:
            tree = gather(self.project / "dags")
        except PipelineError:
            return False  # a file went while it was read: editors replace files
        found = difference(self._sent, tree)
        if not found:
            return False
        versions = self._send(tree)
        for key in (*found.upload, *found.delete):
            self.tell(f"{key} {'deleted' if key in found.delete else 'sent'}")
        if versions:
            self.tell(f"{', '.join(found.parts)} changed: Airflow starts again")
            self.environment.update(versions)
        return True

    def _send(self, tree: Tree) -> dict[str, str]:
        """Let the bucket be as the tree; the members of an update that pin what changed of the parts."""
        found = difference(self._sent, tree)
        for key in found.upload:
            self._put(tree.files[key])
        pinned: dict[str, str] = {}
        for part in found.parts:
            path, version = _MEMBERS[part]
            pinned |= {path: tree.parts[part].key, version: self._put(tree.parts[part])}
        for key in found.delete:
            self.region.client("s3").delete_object(Bucket=self.bucket, Key=key)
            del self._sent[key]
        return pinned

    def _put(self, source: Source) -> str:
        answer = self.region.client("s3").put_object(Bucket=self.bucket, Key=source.key, Body=source.read())
        self._sent[source.key] = source.sha256
        return str(answer["VersionId"])

    def _make_bucket(self) -> None:
        s3 = self.region.client("s3")
        if self.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": self.region.region})
            s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def _request(self, name: str, versions: Mapping[str, str]) -> dict[str, Any]:
        first, wanted = next(iter(self.settings.environments.items()))
        return {
            "Name": name,
            "AirflowVersion": self.settings.airflow.version,
            "EnvironmentClass": wanted.airflow_class,
            "ExecutionRoleArn": f"arn:aws:iam::{self.region.account}:role/working-tree",
            "SourceBucketArn": f"arn:aws:s3:::{self.bucket}",
            "DagS3Path": "dags",
            "NetworkConfiguration": {
                "SubnetIds": ["subnet-local-1", "subnet-local-2"],
                "SecurityGroupIds": ["sg-local"],
            },
            "AirflowConfigurationOptions": {**_OPTIONS, **wanted.airflow_options, OPTION: first},
            "LoggingConfiguration": {part: {"Enabled": True, "LogLevel": "INFO"} for part in _COMPONENTS},
            **versions,
        }
