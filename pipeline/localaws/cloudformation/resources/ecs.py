"""AWS::ECS::Cluster and AWS::ECS::TaskDefinition."""

from typing import Any

from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, unless_gone
from pipeline.localaws.cloudformation.template import Document


class Cluster(Provider):
    """A cluster."""

    type = "AWS::ECS::Cluster"
    implemented = frozenset(
        {
            "CapacityProviders",
            "ClusterName",
            "ClusterSettings",
            "Configuration",
            "DefaultCapacityProviderStrategy",
            "Tags",
        }
    )

    def create(self, request: Request) -> str:
        """Make it; `Ref` is its name."""
        ecs = request.client("ecs")
        name = str(request.properties.get("ClusterName") or request.name())
        given = {**request.properties, "ClusterName": name}
        ecs.create_cluster(**arguments(ecs, "CreateCluster", given, {"ClusterSettings": "settings"}))
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Settings, capacity providers and tags."""
        wanted = request.properties
        ecs = request.client("ecs")
        settings = {
            "Settings": wanted.get("ClusterSettings", []),
            **({"Configuration": wanted["Configuration"]} if "Configuration" in wanted else {}),
        }
        ecs.update_cluster(cluster=physical_id, **arguments(ecs, "UpdateCluster", settings))
        capacity = ("CapacityProviders", "DefaultCapacityProviderStrategy")
        if any(wanted.get(key) != before.get(key) for key in capacity):
            given = {key: wanted.get(key, []) for key in capacity}
            ecs.put_cluster_capacity_providers(
                cluster=physical_id, **arguments(ecs, "PutClusterCapacityProviders", given)
            )
        _tag(ecs, str(self.attributes(request, physical_id)["Arn"]), TagChange.between(before, wanted))

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it."""
        with unless_gone("ClusterNotFoundException"):
            request.client("ecs").delete_cluster(cluster=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN."""
        return {"Arn": request.place.arn("ecs", f"cluster/{physical_id}")}


class TaskDefinition(Provider):
    """One revision of a family. Any change but of the tags is a new revision; the old one is then deregistered."""

    type = "AWS::ECS::TaskDefinition"
    implemented = frozenset(
        {
            "ContainerDefinitions",
            "Cpu",
            "EnableFaultInjection",
            "EphemeralStorage",
            "ExecutionRoleArn",
            "Family",
            "IpcMode",
            "Memory",
            "NetworkMode",
            "PidMode",
            "PlacementConstraints",
            "ProxyConfiguration",
            "RequiresCompatibilities",
            "RuntimePlatform",
            "Tags",
            "TaskRoleArn",
            "Volumes",
        }
    )

    def create(self, request: Request) -> str:
        """Register a revision; `Ref` is its ARN."""
        ecs = request.client("ecs")
        given = {"Family": request.name(), **request.properties}
        registered = ecs.register_task_definition(**arguments(ecs, "RegisterTaskDefinition", given))
        return str(registered["taskDefinition"]["taskDefinitionArn"])

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Only tags change in place."""
        _tag(request.client("ecs"), physical_id, TagChange.between(before, request.properties))

    def delete(self, request: Request, physical_id: str) -> None:
        """Deregister the revision: tasks that run go on, new ones cannot start."""
        with unless_gone("ClientException"):
            request.client("ecs").deregister_task_definition(taskDefinition=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its ARN."""
        return {"TaskDefinitionArn": physical_id}


def _tag(ecs: Any, arn: str, change: TagChange) -> None:
    if change.remove:
        ecs.untag_resource(resourceArn=arn, tagKeys=list(change.remove))
    if change.put:
        ecs.tag_resource(resourceArn=arn, tags=change.as_list("key", "value"))
