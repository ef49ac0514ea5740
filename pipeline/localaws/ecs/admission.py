"""Whether ECS takes a RunTask request: values only, so that each rule is a row.

| request | error | message |
| --- | --- | --- |
| cluster unknown | ClusterNotFoundException | Cluster not found. |
| cluster deleted | ClusterNotFoundException | The referenced cluster was inactive. |
| revision unknown | ClientException | TaskDefinition not found. |
| revision deregistered | InvalidParameterException | TaskDefinition is inactive |
| both a launch type and a capacity provider strategy | InvalidParameterException | … |
| on EC2, or nothing said and no default strategy | InvalidParameterException | No Container Instances were found … |
| revision not for Fargate | InvalidParameterException | Task definition does not support launch_type FARGATE. |
| no network | InvalidParameterException | Network Configuration must be provided when … |
| count under 1 or over 10 | InvalidParameterException | … |

Words as AWS says them, where public reports quote it; "…" are ours.
"""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.localaws.service import ServiceError

_MOST_TASKS: Final = 10  # of one RunTask
_FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})


def active_cluster(cluster: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The cluster, if it takes tasks."""
    if cluster is None:
        raise no_cluster()
    if cluster["status"] != "ACTIVE":
        raise ServiceError("ClusterNotFoundException", "The referenced cluster was inactive.")
    return cluster


def active_revision(definition: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The revision of a task definition, if it starts tasks."""
    if definition is None:
        raise ServiceError("ClientException", "TaskDefinition not found.")
    if definition["status"] != "ACTIVE":
        raise ServiceError("InvalidParameterException", "TaskDefinition is inactive")
    return definition


def no_cluster() -> ServiceError:
    """The refusal of a cluster that nobody knows."""
    return ServiceError("ClusterNotFoundException", "Cluster not found.")


def capacity_provider(request: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    """The provider that runs the task, FARGATE or FARGATE_SPOT; "" when the launch type was asked for instead."""
    launch_type = request.get("launchType")
    asked = request.get("capacityProviderStrategy")
    if launch_type and asked:
        raise _invalid("Specifying both a launch type and capacity provider strategy is not supported.")
    strategy = asked or ([] if launch_type else cluster.get("defaultCapacityProviderStrategy"))
    names = [entry["capacityProvider"] for entry in strategy or []]
    if launch_type == "FARGATE":
        return ""
    if not names or not _FARGATE.issuperset(names):
        raise _invalid("No Container Instances were found in your cluster.")
    return str(names[0])


def check_request(request: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    """Refuse a request that does not fit a revision on Fargate."""
    if not 1 <= request.get("count", 1) <= _MOST_TASKS:
        raise _invalid(f"count must be between 1 and {_MOST_TASKS}")
    if "FARGATE" not in (definition.get("requiresCompatibilities") or []):
        raise _invalid("Task definition does not support launch_type FARGATE.")
    network = request.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if network is None:
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if not network["subnets"]:
        raise _invalid("subnets can not be empty.")
    for unknown in ("volumeConfigurations", "placementConstraints", "placementStrategy"):
        if request.get(unknown):
            raise _invalid(f"{unknown} are not supported on FARGATE by the local AWS")
    if request.get("enableExecuteCommand"):
        raise _invalid("the local AWS does not execute commands in running tasks (enableExecuteCommand)")


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)
