"""AWS::MWAA::Environment."""

from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "ResourceNotFoundException"
_PROPERTIES: Final = frozenset(
    {
        "AirflowConfigurationOptions",
        "AirflowVersion",
        "DagS3Path",
        "EndpointManagement",
        "EnvironmentClass",
        "ExecutionRoleArn",
        "KmsKey",
        "LoggingConfiguration",
        "MaxWebservers",
        "MaxWorkers",
        "MinWebservers",
        "MinWorkers",
        "Name",
        "NetworkConfiguration",
        "PluginsS3ObjectVersion",
        "PluginsS3Path",
        "RequirementsS3ObjectVersion",
        "RequirementsS3Path",
        "Schedulers",
        "SourceBucketArn",
        "StartupScriptS3ObjectVersion",
        "StartupScriptS3Path",
        "Tags",
        "WebserverAccessMode",
        "WeeklyMaintenanceWindowStart",
        "WorkerReplacementStrategy",
    }
)
# Not members of UpdateEnvironment: either they cannot change, or they have calls of their own.
_NOT_UPDATED: Final = frozenset({"EndpointManagement", "KmsKey", "Tags"})


class Environment(Provider):
    """An Airflow environment. Creating and updating last until MWAA says AVAILABLE."""

    type = "AWS::MWAA::Environment"
    implemented = _PROPERTIES

    def create(self, request: Request) -> str:
        """Make it and wait; `Ref` is its name."""
        mwaa = request.client("mwaa")
        name = str(request.properties["Name"])
        # How workers are replaced is said with an update only.
        given = {key: value for key, value in request.properties.items() if key != "WorkerReplacementStrategy"}
        mwaa.create_environment(**arguments(mwaa, "CreateEnvironment", given))
        request.note(name)
        self._settle(request, name)
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Change it and wait."""
        wanted = request.properties
        mwaa = request.client("mwaa")
        given = {key: value for key, value in wanted.items() if key not in _NOT_UPDATED}
        if given != {key: value for key, value in before.items() if key not in _NOT_UPDATED}:
            given["NetworkConfiguration"] = {
                "SecurityGroupIds": wanted.get("NetworkConfiguration", {}).get("SecurityGroupIds", [])
            }
            mwaa.update_environment(**arguments(mwaa, "UpdateEnvironment", given))
            self._settle(request, physical_id)
        change = TagChange.between(before, wanted)
        arn = request.place.arn("airflow", f"environment/{physical_id}")
        if change.remove:
            mwaa.untag_resource(ResourceArn=arn, tagKeys=list(change.remove))
        if change.put:
            mwaa.tag_resource(ResourceArn=arn, Tags=dict(change.put))

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it and wait until it is gone."""
        mwaa = request.client("mwaa")

        def gone() -> bool:
            try:
                mwaa.get_environment(Name=physical_id)
            except ClientError as error:
                return bool(error.response["Error"]["Code"] == _GONE)
            return False

        with unless_gone(_GONE):
            mwaa.delete_environment(Name=physical_id)
            request.wait(gone)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN, its web server and its log groups."""
        found = request.client("mwaa").get_environment(Name=physical_id)["Environment"]
        names = (
            "Arn",
            "WebserverUrl",
            "CeleryExecutorQueue",
            "DatabaseVpcEndpointService",
            "WebserverVpcEndpointService",
        )
        known: dict[str, Any] = {name: found[name] for name in names if name in found}
        for logs, configuration in found.get("LoggingConfiguration", {}).items():
            arn = configuration.get("CloudWatchLogGroupArn")
            if arn:
                known[f"LoggingConfiguration.{logs}.CloudWatchLogGroupArn"] = arn
        return known

    def _settle(self, request: Request, name: str) -> None:
        mwaa = request.client("mwaa")
        found: dict[str, Any] = {}

        def settled() -> bool:
            found.update(mwaa.get_environment(Name=name)["Environment"])
            status = str(found["Status"])
            return status == "AVAILABLE" or status.endswith("FAILED")

        request.wait(settled)
        if found["Status"] != "AVAILABLE":
            error = found.get("LastUpdate", {}).get("Error", {})
            why = f": {error['ErrorMessage']} ({error.get('ErrorCode', '')})" if "ErrorMessage" in error else ""
            raise ResourceError(f"the environment {name} ended {found['Status']}{why}")
