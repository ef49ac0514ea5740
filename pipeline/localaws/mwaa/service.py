"""MWAA's API for environments: their declaration, and what UpdateEnvironment makes of it.

No Airflow runs behind an environment yet, so whatever needs one (InvokeRestApi, the tokens) is refused by name rather
than answered.
"""

import threading
from datetime import UTC, datetime
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError

# Request members of Create- and UpdateEnvironment that are no part of the environment itself.
_ONLY_ASKED = ("WorkerReplacementStrategy",)
# What the environment is pointed at: property of its path, property of the object version.
_OBJECTS = (
    ("RequirementsS3Path", "RequirementsS3ObjectVersion"),
    ("PluginsS3Path", "PluginsS3ObjectVersion"),
    ("StartupScriptS3Path", "StartupScriptS3ObjectVersion"),
)


class Mwaa(Service):
    """Environments, by name."""

    name = "mwaa"
    signing_name: ClassVar[str] = "airflow"

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self._environments: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def create_environment(self, request: Document, call: Call) -> Document:
        """A new environment; its bucket must exist and keep versions, as MWAA demands."""
        name = request["Name"]
        self._check_bucket(request["SourceBucketArn"])
        with self._lock:
            if name in self._environments:
                raise ServiceError("ValidationException", f"Environment with name {name} already exists")
            arn = f"arn:aws:airflow:{call.region}:{call.account}:environment/{name}"
            self._environments[name] = {
                **{key: value for key, value in request.items() if key not in _ONLY_ASKED},
                "Arn": arn,
                "CreatedAt": datetime.now(UTC),
                "Status": "AVAILABLE",
                "LoggingConfiguration": _logging(request.get("LoggingConfiguration", {}), name, call),
            }
        return {"Arn": arn}

    def get_environment(self, request: Document, _: Call) -> Document:
        """An environment as it is."""
        return {"Environment": self._environment(request["Name"])}

    def update_environment(self, request: Document, _: Call) -> Document:
        """Change an environment; objects it is pointed at must exist."""
        environment = self._environment(request["Name"])
        changed = {key: value for key, value in request.items() if key not in (*_ONLY_ASKED, "Name")}
        self._check_objects({**environment, **changed})
        if "LoggingConfiguration" in changed:
            changed["LoggingConfiguration"] = environment["LoggingConfiguration"] | changed["LoggingConfiguration"]
        with self._lock:
            self._environments[request["Name"]] = {
                **environment,
                **changed,
                "Status": "AVAILABLE",
                "LastUpdate": {"CreatedAt": datetime.now(UTC), "Status": "SUCCESS", "Source": "UpdateEnvironment"},
            }
        return {"Arn": environment["Arn"]}

    def delete_environment(self, request: Document, _: Call) -> Document:
        """Forget an environment; its bucket stays."""
        self._environment(request["Name"])
        with self._lock:
            del self._environments[request["Name"]]
        return {}

    def list_environments(self, _request: Document, _: Call) -> Document:
        """All names."""
        return {"Environments": sorted(self._environments)}

    def tag_resource(self, request: Document, _: Call) -> Document:
        """Add or replace tags."""
        self._by_arn(request["ResourceArn"]).setdefault("Tags", {}).update(request["Tags"])
        return {}

    def untag_resource(self, request: Document, _: Call) -> Document:
        """Remove tags."""
        for key in request["tagKeys"]:
            self._by_arn(request["ResourceArn"]).get("Tags", {}).pop(key, None)
        return {}

    def list_tags_for_resource(self, request: Document, _: Call) -> Document:
        """The tags of an environment."""
        return {"Tags": self._by_arn(request["ResourceArn"]).get("Tags", {})}

    def _by_arn(self, arn: str) -> dict[str, Any]:
        return self._environment(arn.rpartition("/")[2])

    def _environment(self, name: str) -> dict[str, Any]:
        with self._lock:
            found = self._environments.get(name)
        if found is None:
            raise ServiceError("ResourceNotFoundException", f"Environment {name} was not found")
        return found

    def _check_bucket(self, arn: str) -> None:
        bucket = arn.rpartition(":")[2]
        try:
            status = self.region.client("s3").get_bucket_versioning(Bucket=bucket).get("Status")
        except ClientError as error:
            raise ServiceError("ValidationException", f"{bucket}: {error.response['Error']['Message']}") from None
        if status != "Enabled":
            raise ServiceError("ValidationException", f"{bucket}: versioning must be enabled on the source bucket")

    def _check_objects(self, environment: Document) -> None:
        bucket = environment["SourceBucketArn"].rpartition(":")[2]
        for path, version in _OBJECTS:
            if environment.get(path):
                given = {"VersionId": environment[version]} if environment.get(version) else {}
                try:
                    self.region.client("s3").head_object(Bucket=bucket, Key=environment[path], **given)
                except ClientError:
                    raise ServiceError(
                        "ValidationException", f"{path}: {environment[path]} does not exist in {bucket} {given or ''}"
                    ) from None


def _logging(configured: Document, name: str, call: Call) -> dict[str, Any]:
    """Each component's logging with the log group MWAA would make for it."""
    words = {
        "DagProcessingLogs": "DAGProcessing",
        "SchedulerLogs": "Scheduler",
        "TaskLogs": "Task",
        "WebserverLogs": "WebServer",
        "WorkerLogs": "Worker",
    }
    groups = f"arn:aws:logs:{call.region}:{call.account}:log-group:airflow-{name}"
    return {
        component: {**module, "CloudWatchLogGroupArn": f"{groups}-{words[component]}"}
        for component, module in configured.items()
    }
