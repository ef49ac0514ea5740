"""MWAA's API: environments, tokens, and Airflow's own REST API through InvokeRestApi."""

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from botocore.exceptions import ClientError

from pipeline.localaws.mwaa import records
from pipeline.localaws.mwaa.airflow import World
from pipeline.localaws.mwaa.airflow_client import AirflowSilentError
from pipeline.localaws.mwaa.components import end_left_over
from pipeline.localaws.mwaa.declaration import BUSY, OBJECTS, bucket_of, created, updated
from pipeline.localaws.mwaa.environment import Environment
from pipeline.localaws.mwaa.installation import Installations
from pipeline.localaws.mwaa.records import Record
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError

_STOP_SECONDS: Final = 30.0
_SMALLEST: Final = 3  # major version of Airflow: the first with the API server this starts
_LONGEST_PATH: Final = 64  # characters of InvokeRestApi's Path (API model; clients do not check it)
_CLIENT_ERROR, _SERVER_ERROR = 400, 500  # HTTP: the first status of each class


class RestApiError(ServiceError):
    """Airflow answered InvokeRestApi with an error; its status and document are members of the error."""

    def __init__(self, code: str, status: int, document: Any) -> None:
        super().__init__(code, f"Airflow answers {status}")
        # moto's serializer reads the members of an error from attributes of their name.
        self.RestApiStatusCode = status
        self.RestApiResponse = document


class Mwaa(Service):
    """Environments, by name.

    Args:
        region: Where it answers.
        installations: Folder in which Airflow is installed, shared by all local AWS of a project.
        machine: This machine's variables.
    """

    name = "mwaa"
    signing_name: ClassVar[str] = "airflow"

    def __init__(
        self, region: LocalRegion, installations: Path | None = None, machine: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(region)
        self._folder = region.folder / self.name
        folder = installations or region.folder.parent / ".airflow"
        self._world = World(region, Installations(folder), dict(os.environ if machine is None else machine))
        self._environments: dict[str, Environment] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the environments of the time before, unless the AWS they lived in is gone with their buckets."""
        end_left_over(self.region.folder)
        for folder in sorted(self._folder.glob("*/")):
            record = records.read(folder)
            if record and self._bucket_problem(bucket_of(record.document)) is None:
                self._live(record)

    def stop(self) -> None:
        """End all Airflows, side by side."""
        with self._lock:
            environments = list(self._environments.values())
        self._world.installations.ended.set()
        for environment in environments:
            environment.end()
        for environment in environments:
            environment.join(_STOP_SECONDS)

    def create_environment(self, request: Document, call: Call) -> Document:
        """A new environment; its bucket must exist and keep versions, as MWAA demands."""
        name = request["Name"]
        problem = self._bucket_problem(bucket_of(request))
        if problem:
            raise ServiceError("ValidationException", problem)
        versions = self._world.installations.versions()
        document = created(
            request, region=call.region, account=call.account, version=versions[-1], at=datetime.now(UTC)
        )
        self._check_version(document["AirflowVersion"])
        self._check_objects(document)
        with self._lock:
            known = self._environments.get(name)
            if known and not known.gone:
                raise ServiceError("ValidationException", f"Environment with name {name} already exists")
        # A folder nobody claims is that of an environment whose AWS was lost: its database is kept.
        former = records.read(self._folder / name)
        self._live(Record(document, former.secrets if former else records.new_secrets(), former.port if former else 0))
        return {"Arn": document["Arn"]}

    def get_environment(self, request: Document, _: Call) -> Document:
        """An environment as it is."""
        return {"Environment": self._environment(request["Name"]).record.document}

    def update_environment(self, request: Document, call: Call) -> Document:
        """Change an environment; objects it is pointed at must exist."""
        environment = self._environment(request["Name"])
        before = environment.record.document
        if before["Status"] in BUSY or before["Status"] == "CREATE_FAILED":
            raise ServiceError(
                "ValidationException", f"Environment {request['Name']} cannot be updated while it is {before['Status']}"
            )
        target = updated(before, request, region=call.region, account=call.account)
        problem = self._bucket_problem(bucket_of(target))
        if problem:
            raise ServiceError("ValidationException", problem)
        self._check_version(target["AirflowVersion"])
        self._check_objects(target)
        environment.update(target, request.get("WorkerReplacementStrategy", "FORCED"))
        return {"Arn": before["Arn"]}

    def delete_environment(self, request: Document, _: Call) -> Document:
        """End an environment; its bucket stays."""
        environment = self._environment(request["Name"])
        if environment.record.document["Status"] in ("CREATING", "UPDATING"):
            raise ServiceError("ValidationException", f"Environment {request['Name']} is busy; delete it afterwards")
        environment.delete()
        return {}

    def list_environments(self, _request: Document, _: Call) -> Document:
        """All names."""
        with self._lock:
            return {"Environments": sorted(name for name, found in self._environments.items() if not found.gone)}

    def tag_resource(self, request: Document, _: Call) -> Document:
        """Add or replace tags."""
        environment = self._by_arn(request["ResourceArn"])
        environment.describe(Tags={**environment.record.document.get("Tags", {}), **request["Tags"]})
        return {}

    def untag_resource(self, request: Document, _: Call) -> Document:
        """Remove tags."""
        environment = self._by_arn(request["ResourceArn"])
        tags = environment.record.document.get("Tags", {})
        environment.describe(Tags={key: value for key, value in tags.items() if key not in request["tagKeys"]})
        return {}

    def list_tags_for_resource(self, request: Document, _: Call) -> Document:
        """The tags of an environment."""
        return {"Tags": self._by_arn(request["ResourceArn"]).record.document.get("Tags", {})}

    def create_web_login_token(self, request: Document, call: Call) -> Document:
        """A token that signs a browser in."""
        environment = self._environment(request["Name"])
        return {
            "WebToken": self._token(environment),
            "WebServerHostname": environment.record.document["WebserverUrl"],
            "IamIdentity": f"arn:aws:iam::{call.account}:root",
            "AirflowIdentity": "Anonymous",
        }

    def create_cli_token(self, request: Document, _: Call) -> Document:
        """A token for Airflow's command line over HTTP."""
        environment = self._environment(request["Name"])
        return {
            "CliToken": self._token(environment),
            "WebServerHostname": environment.record.document["WebserverUrl"],
        }

    def invoke_rest_api(self, request: Document, _: Call) -> Document:
        """A call of Airflow's own REST API; MWAA puts `/api/v2` before the path."""
        environment = self._environment(request["Name"])
        if len(request["Path"]) > _LONGEST_PATH:
            raise ServiceError(
                "ValidationException", f"Path: {request['Path']} has more than {_LONGEST_PATH} characters"
            )
        try:
            answer = environment.airflow.call(
                request["Method"], request["Path"], request.get("QueryParameters") or {}, request.get("Body")
            )
        except AirflowSilentError as error:
            raise RestApiError("RestApiServerException", 503, {"detail": str(error)}) from None
        document = answer.document if isinstance(answer.document, dict) else {"text": answer.document}
        if answer.status >= _SERVER_ERROR:
            raise RestApiError("RestApiServerException", answer.status, document)
        if answer.status >= _CLIENT_ERROR:
            raise RestApiError("RestApiClientException", answer.status, document)
        return {"RestApiStatusCode": answer.status, "RestApiResponse": document}

    def _live(self, record: Record) -> None:
        name = str(record.document["Name"])
        record.write(self._folder / name)
        environment = Environment(self._world, self._folder / name, record)
        with self._lock:
            self._environments[name] = environment
        environment.start()

    def _token(self, environment: Environment) -> str:
        try:
            return environment.airflow.token()
        except AirflowSilentError as error:
            raise ServiceError("InternalServerException", str(error)) from None

    def _by_arn(self, arn: str) -> Environment:
        return self._environment(arn.rpartition("/")[2])

    def _environment(self, name: str) -> Environment:
        with self._lock:
            found = self._environments.get(name)
        if found is None or found.gone:
            raise ServiceError("ResourceNotFoundException", f"Environment {name} was not found")
        return found

    def _check_version(self, version: str) -> None:
        known = self._world.installations.versions()
        if version not in known or int(version.partition(".")[0]) < _SMALLEST:
            raise ServiceError(
                "ValidationException",
                f"the local AWS runs Airflow {', '.join(known)}; Airflow {version} needs a lock file in "
                "pipeline/dagtest/locks, and version 3 or later",
            )

    def _bucket_problem(self, bucket: str) -> str | None:
        try:
            status = self.region.client("s3").get_bucket_versioning(Bucket=bucket).get("Status")
        except ClientError as error:
            return f"{bucket}: {error.response['Error']['Message']}"
        return None if status == "Enabled" else f"{bucket}: versioning must be enabled on the source bucket"

    def _check_objects(self, environment: Document) -> None:
        bucket = bucket_of(environment)
        for path, version in OBJECTS:
            if environment.get(path):
                given = {"VersionId": environment[version]} if environment.get(version) else {}
                try:
                    self.region.client("s3").head_object(Bucket=bucket, Key=environment[path], **given)
                except ClientError:
                    raise ServiceError(
                        "ValidationException", f"{path}: {environment[path]} does not exist in {bucket} {given or ''}"
                    ) from None
