from datetime import UTC, datetime
from typing import Any

from pipeline.localaws.mwaa.declaration import created, last_update, log_level, updated

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REQUEST: dict[str, Any] = {
    "Name": "etl-dev",
    "SourceBucketArn": "arn:aws:s3:::dags",
    "DagS3Path": "dags",
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/airflow",
    "NetworkConfiguration": {"SubnetIds": ["a", "b"], "SecurityGroupIds": ["g"]},
    "LoggingConfiguration": {
        "TaskLogs": {"Enabled": True, "LogLevel": "WARNING"},
        "WorkerLogs": {"Enabled": False},
        "DagProcessingLogs": {"Enabled": True},
    },
}


def made(**members: Any) -> dict[str, Any]:
    return created(REQUEST | members, region="eu-west-1", account="123456789012", version="3.3.1", at=NOW)


def changed(environment: dict[str, Any], **members: Any) -> dict[str, Any]:
    return updated(environment, {"Name": "etl-dev", **members}, region="eu-west-1", account="123456789012")


def test_a_new_environment_has_what_mwaa_fills_in() -> None:
    environment = made()
    assert environment["Status"] == "CREATING"
    assert environment["Arn"] == "arn:aws:airflow:eu-west-1:123456789012:environment/etl-dev"
    assert (environment["AirflowVersion"], environment["EnvironmentClass"]) == ("3.3.1", "mw1.small")
    assert made(AirflowVersion="3.0.6", EnvironmentClass="mw1.micro")["AirflowVersion"] == "3.0.6"


def test_each_component_that_logs_has_its_log_group() -> None:
    logging = made()["LoggingConfiguration"]
    assert logging["TaskLogs"]["CloudWatchLogGroupArn"].endswith(":log-group:airflow-etl-dev-Task")
    assert logging["DagProcessingLogs"]["CloudWatchLogGroupArn"].endswith(":airflow-etl-dev-DAGProcessing")


def test_what_is_not_enabled_or_not_mentioned_is_not_logged() -> None:
    environment = made()
    assert log_level(environment, "TaskLogs") == "WARNING"
    assert log_level(environment, "DagProcessingLogs") == "INFO"
    assert log_level(environment, "WorkerLogs") is None
    assert log_level(environment, "SchedulerLogs") is None


def test_an_update_leaves_what_it_does_not_mention() -> None:
    before = made()
    after = changed(before, MaxWorkers=3, WorkerReplacementStrategy="GRACEFUL")
    assert after == {**before, "MaxWorkers": 3}


def test_an_update_changes_the_logging_of_the_components_it_names() -> None:
    after = changed(made(), LoggingConfiguration={"WorkerLogs": {"Enabled": True, "LogLevel": "ERROR"}})
    assert log_level(after, "WorkerLogs") == "ERROR"
    assert log_level(after, "TaskLogs") == "WARNING"


def test_an_update_of_the_network_keeps_its_subnets() -> None:
    after = changed(made(), NetworkConfiguration={"SecurityGroupIds": ["other"]})
    assert after["NetworkConfiguration"] == {"SubnetIds": ["a", "b"], "SecurityGroupIds": ["other"]}


def test_a_failed_update_says_why_within_the_limit_of_the_api() -> None:
    failed = last_update("FAILED", NOW, "FORCED", ("INCORRECT_CONFIGURATION", "x" * 5000 + "the cause"))
    assert failed["Error"]["ErrorMessage"].endswith("the cause")
    assert len(failed["Error"]["ErrorMessage"]) == 1000
    assert "Error" not in last_update("SUCCESS", NOW, "FORCED")
