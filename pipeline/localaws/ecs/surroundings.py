"""What a task needs of the rest of AWS: asked for by API, as ECS itself would."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Document, ServiceError


class Surroundings:
    """Clusters, task definitions, networks and tags of a region."""

    def __init__(self, region: LocalRegion) -> None:
        self._region = region

    def cluster(self, name: str) -> Mapping[str, Any] | None:
        """A cluster by name or ARN, active or not."""
        found = self._region.client("ecs").describe_clusters(clusters=[name])["clusters"]
        return found[0] if found else None

    def definition(self, name: str) -> Mapping[str, Any] | None:
        """A revision; for a family alone its latest active one."""
        ecs = self._region.client("ecs")
        family = last_part(name)
        try:
            if ":" not in family:
                active = ecs.list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]
                if not active:
                    return None
                name = max(active, key=lambda arn: int(arn.rpartition(":")[2]))
            return dict(ecs.describe_task_definition(taskDefinition=name)["taskDefinition"])
        except ClientError:
            return None

    def check_network(self, network: Mapping[str, Any]) -> None:
        """Refuse subnets and security groups that are not there."""
        ec2 = self._region.client("ec2")
        for what, ids, describe, argument in (
            ("subnet", network["subnets"], ec2.describe_subnets, "SubnetIds"),
            ("security group", network.get("securityGroups") or [], ec2.describe_security_groups, "GroupIds"),
        ):
            try:
                if ids:
                    describe(**{argument: ids})
            except ClientError as error:
                answer = error.response["Error"]
                raise ServiceError(
                    "InvalidParameterException",
                    f"Error retrieving {what} information for [{', '.join(ids)}]: {answer['Message']} "
                    f"(ErrorCode: {answer['Code']})",
                ) from None

    def tags(self, request: Document, cluster: str, definition: Mapping[str, Any]) -> list[Mapping[str, str]]:
        """The tags of a task: its own, and those that RunTask is to add; its own win."""
        tags: dict[str, str] = {}
        if request.get("propagateTags") == "TASK_DEFINITION":
            arn = definition["taskDefinitionArn"]
            tags |= _pairs(self._region.client("ecs").list_tags_for_resource(resourceArn=arn)["tags"])
        tags |= _pairs(request.get("tags") or [])
        if request.get("enableECSManagedTags"):
            tags["aws:ecs:clusterName"] = last_part(cluster)
        return [{"key": key, "value": value} for key, value in tags.items()]


def last_part(name: str) -> str:
    """The last part of an ARN, or the short name that it is."""
    return name.rpartition("/")[2]


def _pairs(tags: list[Mapping[str, str]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tags}
