"""Build projects: what CreateProject and UpdateProject accept, and what they show."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.localaws.codebuild.pages import in_order, page
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, ServiceError

SOURCES: Final = ("CODEPIPELINE", "S3", "CODECOMMIT", "NO_SOURCE")
ENVIRONMENTS: Final = ("LINUX_CONTAINER", "ARM_CONTAINER")
_MADE: Final = ("name", "arn", "created", "lastModified")


class Projects:
    """The project operations of the API."""

    region: LocalRegion
    projects: dict[str, dict[str, Any]]

    def create_project(self, request: Document, call: Call) -> Document:  # noqa: ARG002 - every operation's signature
        """Make a project."""
        name = request["name"]
        if name in self.projects:
            raise ServiceError("ResourceAlreadyExistsException", f"Project already exists: {self._project_arn(name)}")
        now = datetime.now(UTC)
        project = {
            "arn": self._project_arn(name),
            "created": now,
            "lastModified": now,
            **self._defaults(),
            **_shown(request),
        }
        check(project)
        self.projects[name] = project
        return {"project": copy.deepcopy(project)}

    def update_project(self, request: Document, _: Call) -> Document:
        """Replace the members that are given."""
        old = self.project(request["name"])
        new = {**old, **_shown(request), "lastModified": datetime.now(UTC)}
        if new.get("concurrentBuildLimit") == -1:
            del new["concurrentBuildLimit"]
        if not new.get("encryptionKey"):
            new["encryptionKey"] = self._defaults()["encryptionKey"]
        check(new)
        self.projects[request["name"]] = new
        return {"project": copy.deepcopy(new)}

    def delete_project(self, request: Document, _: Call) -> Document:
        """Forget a project; none of that name is no error. Its builds stay, as on AWS."""
        self.projects.pop(request["name"].rpartition("/")[2], None)
        return {}

    def batch_get_projects(self, request: Document, _: Call) -> Document:
        """Projects by name or ARN."""
        names = {wanted: wanted.rpartition("/")[2] for wanted in request["names"]}
        return {
            "projects": [copy.deepcopy(self.projects[name]) for name in names.values() if name in self.projects],
            "projectsNotFound": [wanted for wanted, name in names.items() if name not in self.projects],
        }

    def list_projects(self, request: Document, _: Call) -> Document:
        """Names of the projects."""
        key = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(request.get("sortBy", ""), "name")
        names = sorted(self.projects, key=lambda name: (self.projects[name][key], name))
        return page(in_order(names, request, default="ASCENDING"), request, key="projects")

    def project(self, name: str) -> dict[str, Any]:
        """A project by name or ARN.

        Raises:
            ServiceError: There is none.
        """
        try:
            return self.projects[name.rpartition("/")[2]]
        except KeyError:
            arn = self._project_arn(name)
            raise ServiceError("ResourceNotFoundException", f"Project cannot be found: {arn}") from None

    def _project_arn(self, name: str) -> str:
        return f"arn:aws:codebuild:{self.region.region}:{self.region.account}:project/{name.rpartition('/')[2]}"

    def _defaults(self) -> dict[str, Any]:
        place = f"{self.region.region}:{self.region.account}"
        return {
            "timeoutInMinutes": 60,
            "queuedTimeoutInMinutes": 480,
            "encryptionKey": f"arn:aws:kms:{place}:alias/aws/s3",
            "badge": {"badgeEnabled": False},
            "cache": {"type": "NO_CACHE"},
            "tags": [],
            "projectVisibility": "PRIVATE",
        }


def check(project: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses, and, by its name, what the local AWS does not do.

    Raises:
        ServiceError: Says which member and why.
    """
    for source in (project["source"], *project.get("secondarySources", ())):
        _known("source.type", source["type"], SOURCES)
    for source in project.get("secondarySources", ()):
        if not source.get("sourceIdentifier"):
            raise ServiceError(
                "InvalidInputException", "Invalid project source: a secondary source needs an identifier"
            )
    _known("environment.type", project["environment"]["type"], ENVIRONMENTS)
    for artifact in (project["artifacts"], *project.get("secondaryArtifacts", ())):
        if artifact["type"] == "S3" and not artifact.get("location"):
            raise ServiceError("InvalidInputException", "Invalid artifacts: S3 artifacts need a location, the bucket")
    if (project["source"]["type"] == "CODEPIPELINE") != (project["artifacts"]["type"] == "CODEPIPELINE"):
        raise ServiceError(
            "InvalidInputException",
            "Invalid project: source and artifacts must both be of type CODEPIPELINE, or neither",
        )
    if project["source"]["type"] == "NO_SOURCE" and not project["source"].get("buildspec"):
        raise ServiceError("InvalidInputException", "Invalid project source: NO_SOURCE needs a buildspec")
    logs = project.get("logsConfig") or {}
    not_done = {
        "cache.type S3": (project.get("cache") or {}).get("type") == "S3",
        "fileSystemLocations": project.get("fileSystemLocations"),
        "buildBatchConfig": project.get("buildBatchConfig"),
        "autoRetryLimit": project.get("autoRetryLimit"),
        "environment.fleet": project["environment"].get("fleet"),
        "environment.certificate": project["environment"].get("certificate"),
        "environment.dockerServer": project["environment"].get("dockerServer"),
        "logsConfig.s3Logs": (logs.get("s3Logs") or {}).get("status") == "ENABLED",
    }
    for member, wanted in not_done.items():
        if wanted:
            raise ServiceError("InvalidInputException", f"the local AWS does not implement {member} of a project")


def _known(member: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ServiceError(
            "InvalidInputException", f"the local AWS does not implement {member} {value}; it knows {', '.join(known)}"
        )


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request that a project shows the same way."""
    members = {key: copy.deepcopy(value) for key, value in request.items() if key not in ("badgeEnabled", *_MADE[1:])}
    if "badgeEnabled" in request:
        members["badge"] = {"badgeEnabled": bool(request["badgeEnabled"])}
    return members
