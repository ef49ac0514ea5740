"""AWS::CodeCommit::Repository, AWS::CodeBuild::Project and AWS::CodeBuild::ReportGroup."""

from typing import Any, Final

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, ResourceError, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "ResourceNotFoundException"

# UpdateProject leaves a member alone when it is not given; what the template no longer says must be reset by name.
_PROJECT_DEFAULTS: Final[Document] = {
    "AutoRetryLimit": 0,
    "BadgeEnabled": False,
    "Cache": {"Type": "NO_CACHE"},
    "Description": "",
    "EncryptionKey": "",
    "FileSystemLocations": [],
    "LogsConfig": {},
    "QueuedTimeoutInMinutes": 480,
    "SecondaryArtifacts": [],
    "SecondarySourceVersions": [],
    "SecondarySources": [],
    "SourceVersion": "",
    "Tags": [],
    "TimeoutInMinutes": 60,
    "VpcConfig": {},
}


class Repository(Provider):
    """A git repository."""

    type = "AWS::CodeCommit::Repository"
    implemented = frozenset({"KmsKeyId", "RepositoryDescription", "RepositoryName", "Tags"})
    replaced_by = (("KmsKeyId",),)

    def create(self, request: Request) -> str:
        """Make it, empty; `Ref` is its id."""
        codecommit = request.client("codecommit")
        made = codecommit.create_repository(**arguments(codecommit, "CreateRepository", request.properties))
        return str(made["repositoryMetadata"]["repositoryId"])

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - the API takes names
        """Name, description and tags."""
        wanted = request.properties
        codecommit = request.client("codecommit")
        name = wanted["RepositoryName"]
        if name != before["RepositoryName"]:
            codecommit.update_repository_name(oldName=before["RepositoryName"], newName=name)
        if wanted.get("RepositoryDescription") != before.get("RepositoryDescription"):
            codecommit.update_repository_description(
                repositoryName=name, repositoryDescription=wanted.get("RepositoryDescription", "")
            )
        change = TagChange.between(before, wanted)
        arn = request.place.arn("codecommit", name)
        if change.remove:
            codecommit.untag_resource(resourceArn=arn, tagKeys=list(change.remove))
        if change.put:
            codecommit.tag_resource(resourceArn=arn, tags=dict(change.put))

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - the API takes names
        """Delete it with all its commits; the API does not mind when it is gone."""
        request.client("codecommit").delete_repository(repositoryName=request.properties["RepositoryName"])

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - the API takes names
        """Its ARN, its name and where to clone it from."""
        found = request.client("codecommit").get_repository(repositoryName=request.properties["RepositoryName"])
        metadata = found["repositoryMetadata"]
        return {
            "Arn": metadata["Arn"],
            "CloneUrlHttp": metadata.get("cloneUrlHttp", ""),
            "CloneUrlSsh": metadata.get("cloneUrlSsh", ""),
            "Name": metadata["repositoryName"],
            "RepositoryId": metadata["repositoryId"],
        }


class Project(Provider):
    """A CodeBuild project."""

    type = "AWS::CodeBuild::Project"
    implemented = frozenset(
        {
            "Artifacts",
            "AutoRetryLimit",
            "BadgeEnabled",
            "BuildBatchConfig",
            "Cache",
            "ConcurrentBuildLimit",
            "Description",
            "EncryptionKey",
            "Environment",
            "FileSystemLocations",
            "LogsConfig",
            "Name",
            "QueuedTimeoutInMinutes",
            "SecondaryArtifacts",
            "SecondarySourceVersions",
            "SecondarySources",
            "ServiceRole",
            "Source",
            "SourceVersion",
            "Tags",
            "TimeoutInMinutes",
            "Triggers",
            "VpcConfig",
        }
    )

    def create(self, request: Request) -> str:
        """Make it; `Ref` is its name."""
        codebuild = request.client("codebuild")
        name = str(request.properties.get("Name") or request.name(longest=150))
        codebuild.create_project(name=name, **arguments(codebuild, "CreateProject", _project(request.properties)))
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Everything but its name."""
        codebuild = request.client("codebuild")
        reset = {key: value for key, value in _PROJECT_DEFAULTS.items() if key in before}
        given = {**reset, **_project(request.properties)}
        codebuild.update_project(name=physical_id, **arguments(codebuild, "UpdateProject", given))

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it; the API does not mind when it is gone."""
        request.client("codebuild").delete_project(name=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN."""
        return {"Arn": request.place.arn("codebuild", f"project/{physical_id}"), "Id": physical_id}


def _project(properties: Document) -> dict[str, Any]:
    """The properties that CreateProject takes.

    Raises:
        ResourceError: A webhook is wanted: there is no GitHub here that could call it.
    """
    if (properties.get("Triggers") or {}).get("Webhook", False):
        raise ResourceError("the local AWS does not implement Triggers.Webhook of AWS::CodeBuild::Project")
    return {key: value for key, value in properties.items() if key not in {"Name", "Triggers"}}


class ReportGroup(Provider):
    """A group of test reports."""

    type = "AWS::CodeBuild::ReportGroup"
    implemented = frozenset({"DeleteReports", "ExportConfig", "Name", "Tags", "Type"})

    def create(self, request: Request) -> str:
        """Make it; `Ref` is its ARN."""
        codebuild = request.client("codebuild")
        given = {key: value for key, value in request.properties.items() if key != "DeleteReports"}
        given = {"Name": request.name(longest=128), **given}
        made = codebuild.create_report_group(**arguments(codebuild, "CreateReportGroup", given))
        return str(made["reportGroup"]["arn"])

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - it is put whole
        """Where reports are exported to, and tags."""
        codebuild = request.client("codebuild")
        given = {
            "Tags": [],
            **{key: request.properties[key] for key in ("ExportConfig", "Tags") if key in request.properties},
        }
        codebuild.update_report_group(arn=physical_id, **arguments(codebuild, "UpdateReportGroup", given))

    def delete(self, request: Request, physical_id: str) -> None:
        """Fails while there are reports in it, unless the template says DeleteReports."""
        with unless_gone(_GONE):
            request.client("codebuild").delete_report_group(
                arn=physical_id, deleteReports=bool(request.properties.get("DeleteReports", False))
            )

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its ARN."""
        return {"Arn": physical_id}
