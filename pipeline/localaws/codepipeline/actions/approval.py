"""Approval/Manual: ask a person, and give up after a week. The answer ends the action from outside."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.localaws.codepipeline.actions.work import JOB_FAILED, ActionFailedError, Outcome, Work

WAIT: Final = timedelta(days=7)  # user guide, "Add a manual approval action": then it fails
SUBJECT_LENGTH: Final = 100  # API reference, SNS Publish


def perform(work: Work) -> Outcome:
    """Tell the subscribers, then wait until somebody has answered or time has run out."""
    limit = min(WAIT, timedelta(minutes=work.action.timeout)) if work.action.timeout else WAIT
    topic = work.configuration.get("NotificationArn")
    if topic:
        subject = f"APPROVAL NEEDED: AWS CodePipeline {work.pipeline} for action {work.action.name}"
        work.client("sns").publish(
            TopicArn=topic, Subject=subject[:SUBJECT_LENGTH], Message=notification(work, datetime.now(UTC) + limit)
        )
    work.pause(WAIT.total_seconds())
    raise ActionFailedError(JOB_FAILED, f"Nobody answered the approval request within {WAIT.days} days")


def notification(work: Work, expires: datetime) -> str:
    """The JSON that subscribers get (user guide, "JSON data format for manual approval notifications")."""
    page = f"https://console.aws.amazon.com/codesuite/codepipeline/pipelines/{work.pipeline}/view?region={work.region}"
    content = {
        "pipelineName": work.pipeline,
        "stageName": work.stage,
        "actionName": work.action.name,
        "token": work.token,
        "expires": expires.strftime("%Y-%m-%dT%H:%MZ"),
        "externalEntityLink": work.configuration.get("ExternalEntityLink"),
        "approvalReviewLink": f"{page}#/{work.stage}/{work.action.name}/approve/{work.token}",
        "customData": work.configuration.get("CustomData"),
    }
    return json.dumps({"region": work.region, "consoleLink": page, "approval": content})
