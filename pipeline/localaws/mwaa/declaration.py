"""An environment as the API describes it: what a request makes of it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

Document = Mapping[str, Any]

# The log group of each component, after `airflow-ENVIRONMENT-` (MWAA user guide, monitoring-airflow).
LOG_GROUPS: Final = {
    "DagProcessingLogs": "DAGProcessing",
    "SchedulerLogs": "Scheduler",
    "TaskLogs": "Task",
    "WebserverLogs": "WebServer",
    "WorkerLogs": "Worker",
}
# What the environment is pointed at: member of its path, member of the object's version.
OBJECTS: Final = (
    ("RequirementsS3Path", "RequirementsS3ObjectVersion"),
    ("PluginsS3Path", "PluginsS3ObjectVersion"),
    ("StartupScriptS3Path", "StartupScriptS3ObjectVersion"),
)
# What MWAA fills in where a request says nothing (API reference, CreateEnvironment).
_DEFAULTS: Final = {
    "EnvironmentClass": "mw1.small",
    "MaxWorkers": 10,
    "MinWorkers": 1,
    "WebserverAccessMode": "PRIVATE_ONLY",
    "EndpointManagement": "SERVICE",
}
_SERVICE_ROLE: Final = "aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"
# Request members that are no part of the environment itself.
_ONLY_ASKED: Final = ("WorkerReplacementStrategy", "Name")
# Where an environment takes no update or deletion: it is busy with one (MWAA: "cannot be updated in its state").
BUSY: Final = frozenset({"CREATING", "UPDATING", "DELETING", "ROLLING_BACK", "PENDING", "MAINTENANCE"})


def created(request: Document, *, region: str, account: str, version: str, at: datetime) -> dict[str, Any]:
    """The environment that CreateEnvironment asks for; `version` is Airflow's where the request names none."""
    name = request["Name"]
    return {
        **_DEFAULTS,
        "AirflowVersion": version,
        **request,
        "Arn": f"arn:aws:airflow:{region}:{account}:environment/{name}",
        "CreatedAt": at,
        "Status": "CREATING",
        "ServiceRoleArn": f"arn:aws:iam::{account}:role/{_SERVICE_ROLE}",
        "CeleryExecutorQueue": f"arn:aws:sqs:{region}:{account}:airflow-celery-{name}",
        "LoggingConfiguration": with_log_groups(request.get("LoggingConfiguration", {}), name, region, account),
    }


def updated(environment: Document, request: Document, *, region: str, account: str) -> dict[str, Any]:
    """The environment with what UpdateEnvironment asks for; what it does not mention stays."""
    changed = {key: value for key, value in request.items() if key not in _ONLY_ASKED}
    if "LoggingConfiguration" in changed:
        new = with_log_groups(changed["LoggingConfiguration"], request["Name"], region, account)
        changed["LoggingConfiguration"] = {**environment["LoggingConfiguration"], **new}
    if "NetworkConfiguration" in changed:  # an update names security groups only
        changed["NetworkConfiguration"] = {**environment["NetworkConfiguration"], **changed["NetworkConfiguration"]}
    return {**environment, **changed}


def last_update(status: str, at: datetime, strategy: str, error: tuple[str, str] | None = None) -> dict[str, Any]:
    """The member `LastUpdate`; `error` is its code and message."""
    document: dict[str, Any] = {
        "Status": status,
        "CreatedAt": at,
        "Source": "UpdateEnvironment",
        "WorkerReplacementStrategy": strategy,
    }
    if error:
        # The API allows 1,000 characters; the end of an error says more than its beginning.
        document["Error"] = {"ErrorCode": error[0], "ErrorMessage": error[1][-1000:]}
    return document


def with_log_groups(configured: Document, name: str, region: str, account: str) -> dict[str, Any]:
    """Each component's logging with the log group MWAA makes for it."""
    return {
        component: {
            "LogLevel": "INFO",
            **module,
            "CloudWatchLogGroupArn": f"arn:aws:logs:{region}:{account}:log-group:{log_group(name, component)}",
        }
        for component, module in configured.items()
    }


def log_group(name: str, component: str) -> str:
    """The log group of a component of an environment."""
    return f"airflow-{name}-{LOG_GROUPS[component]}"


def log_level(environment: Document, component: str) -> str | None:
    """From which level on a component is logged; None when it is not."""
    module = environment.get("LoggingConfiguration", {}).get(component, {})
    return str(module.get("LogLevel", "INFO")) if module.get("Enabled") else None


def bucket_of(environment: Document) -> str:
    """Name of the bucket with the DAGs."""
    return str(environment["SourceBucketArn"]).rpartition(":")[2]
