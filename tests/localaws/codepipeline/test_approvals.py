"""Manual approvals."""

import json
from threading import Event
from time import monotonic

import pytest

from pipeline.localaws.codepipeline.actions.approval import perform
from pipeline.localaws.codepipeline.actions.work import AbandonedError, ActionFailedError
from tests.localaws.codepipeline.declarations import approval, build, declaration, stage
from tests.localaws.codepipeline.works import work_of
from tests.localaws.codepipeline.world import World

PROD = (stage("Prod", approval(), build("ship", order=2)),)


def test_an_approval_lets_the_execution_go_on(world: World) -> None:
    execution = world.create(declaration(*PROD))
    token = world.token("Prod")
    assert world.status(execution) == "InProgress"
    assert "ship" not in world.statuses(execution)
    world.answer("Prod", "Approved", token, "the dossier is fine")
    world.succeeds(execution)
    approved = world.latest("Prod", "Approve")
    assert (approved["status"], approved["summary"]) == ("Succeeded", "the dossier is fine")
    assert approved["lastUpdatedBy"].startswith("arn:aws:iam::123456789012:")
    assert "token" not in approved


def test_a_rejection_fails_the_execution(world: World) -> None:
    execution = world.create(declaration(*PROD))
    world.answer("Prod", "Rejected", world.token("Prod"), "not on a Friday")
    assert world.ends(execution) == "Failed"
    rejected = world.latest("Prod", "Approve")
    assert (rejected["status"], rejected["summary"]) == ("Failed", "not on a Friday")
    assert "not on a Friday" in rejected["errorDetails"]["message"]


def test_a_wrong_token_and_a_second_answer_are_refused(world: World) -> None:
    execution = world.create(declaration(*PROD))
    token = world.token("Prod")
    with pytest.raises(world.api.exceptions.InvalidApprovalTokenException):
        world.answer("Prod", "Approved", "11111111-2222-3333-4444-555555555555")
    world.answer("Prod", "Approved", token)
    with pytest.raises(world.api.exceptions.ApprovalAlreadyCompletedException):
        world.answer("Prod", "Approved", token)
    world.ends(execution)


def test_an_answer_must_name_stage_and_action(world: World) -> None:
    world.create(declaration(*PROD))
    result = {"status": "Approved", "summary": ""}
    answer = {"pipelineName": "etl", "token": world.token("Prod"), "result": result}
    with pytest.raises(world.api.exceptions.StageNotFoundException):
        world.api.put_approval_result(stageName="Dev", actionName="Approve", **answer)
    with pytest.raises(world.api.exceptions.ActionNotFoundException):
        world.api.put_approval_result(stageName="Prod", actionName="Sign", **answer)
    with pytest.raises(world.api.exceptions.InvalidApprovalTokenException):
        world.api.put_approval_result(stageName="Prod", actionName="ship", **answer)


def test_a_rejected_approval_is_asked_again_with_a_new_token_on_retry(world: World) -> None:
    execution = world.create(declaration(*PROD))
    token = world.token("Prod")
    world.answer("Prod", "Rejected", token)
    world.ends(execution)
    world.api.retry_stage_execution(
        pipelineName="etl", stageName="Prod", pipelineExecutionId=execution, retryMode="FAILED_ACTIONS"
    )
    again = world.token("Prod")
    assert again != token
    world.answer("Prod", "Approved", again)
    world.succeeds(execution)


def test_subscribers_get_the_request_with_the_token_and_resolved_variables(world: World) -> None:
    sns, sqs = world.region.client("sns"), world.region.client("sqs")
    topic = sns.create_topic(Name="codepipeline-approvals")["TopicArn"]
    queue = sqs.create_queue(QueueName="codepipeline-approvals")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:codepipeline-approvals")
    ask = approval(NotificationArn=topic, CustomData="release #{Source.CommitId}", ExternalEntityLink="http://x/y")
    execution = world.create(declaration(stage("Prod", ask)))
    token = world.token("Prod")
    commit = world.action(execution, "etl")["output"]["outputVariables"]["CommitId"]

    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    sent = json.loads(messages[0]["Body"])
    assert sent["Subject"] == "APPROVAL NEEDED: AWS CodePipeline etl for action Approve"
    request = json.loads(sent["Message"])["approval"]
    assert request["token"] == token
    assert request["customData"] == f"release {commit}"
    assert request["externalEntityLink"] == "http://x/y"
    shown = world.action(execution, "Approve")["input"]["resolvedConfiguration"]
    assert shown["CustomData"] == f"release {commit}"


def test_a_topic_that_does_not_exist_fails_the_request(world: World) -> None:
    ask = approval(NotificationArn="arn:aws:sns:eu-west-1:123456789012:codepipeline-nobody")
    execution = world.create(declaration(stage("Prod", ask)))
    assert world.ends(execution) == "Failed"
    assert "NotFound" in world.latest("Prod", "Approve")["errorDetails"]["message"]


class Clock(Event):
    """An event nobody sets, for whom time does not pass; it remembers how long it would have been waited for."""

    waited = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.waited += timeout or 0
        return False


def test_after_seven_days_without_an_answer_the_request_fails() -> None:
    clock = Clock()
    with pytest.raises(ActionFailedError, match="Nobody answered the approval request within 7 days"):
        perform(work_of(approval(), ended=clock))
    assert clock.waited == 7 * 24 * 3600


def test_an_actions_own_timeout_ends_it_sooner() -> None:
    clock = Clock()
    with pytest.raises(ActionFailedError, match="did not end within 30 minutes"):
        perform(work_of({**approval(), "timeoutInMinutes": 30}, until=monotonic() + 1800, ended=clock))
    assert clock.waited == pytest.approx(1800, abs=5)


def test_a_withdrawn_request_ends_at_once() -> None:
    ended = Event()
    ended.set()
    with pytest.raises(AbandonedError):
        perform(work_of(approval(), ended=ended))
