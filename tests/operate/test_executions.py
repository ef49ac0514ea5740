"""What people are shown of an execution, from what the APIs answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.operate.executions import Approval, Execution, approvals, execution_view, telling
from pipeline.operate.show import advice, heading, report_line, stage_lines
from pipeline.operate.watch import news

START = datetime(2026, 1, 1, tzinfo=UTC)


def declared(*stages: tuple[str, list[str]]) -> dict[str, Any]:
    """A pipeline; an action called `approve` is an approval, any other a build."""
    return {
        "stages": [
            {
                "name": name,
                "actions": [
                    {
                        "name": action,
                        "runOrder": order,
                        "actionTypeId": {"category": "Approval", "provider": "Manual"}
                        if action == "approve"
                        else {"category": "Build", "provider": "CodeBuild"},
                    }
                    for order, action in enumerate(actions, 1)
                ],
            }
            for name, actions in stages
        ]
    }


def tried(stage: str, action: str, status: str, minute: int = 0, **result: Any) -> dict[str, Any]:
    start = START + timedelta(minutes=minute)
    return {
        "stageName": stage,
        "actionName": action,
        "status": status,
        "startTime": start,
        "lastUpdateTime": start + timedelta(seconds=7),
        "output": {"executionResult": result, "outputVariables": {"RELEASE": "r1"} if action == "sync" else {}},
    }


def view(*details: dict[str, Any], status: str = "InProgress") -> Execution:
    pipeline = declared(("Build", ["synth"]), ("dev", ["sync"]), ("prod", ["approve", "sync"]))
    execution = {
        "pipelineExecutionId": "12345678-1234",
        "status": status,
        "artifactRevisions": [{"revisionId": "abcdef0123456789", "revisionSummary": "Add a DAG\n\nBecause.\n"}],
    }
    return execution_view(pipeline, execution, details, START + timedelta(minutes=30))


def test_of_several_tries_of_an_action_the_last_counts() -> None:
    seen = view(tried("Build", "synth", "Succeeded", 5), tried("Build", "synth", "Failed", 1))
    assert [action.status for action in seen.actions] == ["Succeeded", "NotStarted", "NotStarted", "NotStarted"]


def test_an_action_under_way_shows_how_long_it_has_been_running() -> None:
    (synth, *_) = view(tried("Build", "synth", "InProgress", 29)).actions
    assert synth.seconds == 60


def test_a_failed_action_carries_its_reason_and_its_build() -> None:
    seen = view(
        tried("Build", "synth", "Failed", errorDetails={"message": "exit status 1"}, externalExecutionId="p:1"),
        status="Failed",
    )
    assert [(action.error, action.external_id) for action in seen.failed] == [("exit status 1", "p:1")]
    assert "pipeline logs" in " ".join(advice(seen))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({}, "NotStarted"),
        ({"approve": "InProgress"}, "InProgress"),
        ({"approve": "Succeeded"}, "InProgress"),
        ({"approve": "Succeeded", "sync": "Succeeded"}, "Succeeded"),
        ({"approve": "Succeeded", "sync": "Failed"}, "Failed"),
        ({"approve": "Abandoned"}, "Abandoned"),
    ],
)
def test_a_stage_is_as_well_as_its_worst_action(statuses: dict[str, str], expected: str) -> None:
    seen = view(*(tried("prod", action, status) for action, status in statuses.items()))
    assert seen.stages[2].status == expected


def test_an_approval_that_waits_is_named_with_the_command_that_answers_it() -> None:
    seen = view(tried("Build", "synth", "Succeeded"), tried("prod", "approve", "InProgress"))
    assert seen.waiting[0].stage == "prod"
    assert "waits for approval" in heading("etl", seen)
    assert "Add a DAG" in heading("etl", seen)
    assert "Because" not in heading("etl", seen)
    assert list(advice(seen)) == [
        "`pipeline approve` brings this release to prod; `pipeline reject` does not.",
    ]


def test_who_is_asked_for_approval_reads_the_request_and_the_link_to_the_dossier() -> None:
    asking = {"CustomData": "Release commit ab[c]d to prod.", "ExternalEntityLink": "https://x.example/prod.html"}
    waiting = tried("prod", "approve", "InProgress") | {"input": {"resolvedConfiguration": asking}}
    assert list(advice(view(waiting)))[:2] == [
        "Release commit ab\\[c]d to prod.",
        "Its dossier: https://x.example/prod.html",
    ]


def test_only_stages_in_which_something_happened_list_their_actions() -> None:
    seen = view(tried("Build", "synth", "Succeeded"))
    assert [len(list(stage_lines(stage))) for stage in seen.stages] == [2, 1, 1]


def test_news_is_what_ended_or_waits_since_the_last_look() -> None:
    first = view(tried("Build", "synth", "InProgress"))
    second = view(tried("Build", "synth", "Succeeded"), tried("prod", "approve", "InProgress"))
    assert [action.name for action in news(None, first)] == []
    assert [action.name for action in news(first, second)] == ["synth", "approve"]
    assert news(second, second) == ()


def test_what_a_build_exported_is_kept() -> None:
    seen = view(tried("dev", "sync", "Succeeded"))
    assert [dict(action.variables) for action in seen.actions if action.variables] == [{"RELEASE": "r1"}]


def test_of_a_failed_build_people_read_what_commands_said_and_which_one_ended_it() -> None:
    log = [
        "[Container] 2026/11/23 12:24:20.1 Running command pipeline test stacks",
        "1 failed, 57 passed in 23.39s",
        "[Container] 2026/11/23 12:24:24.4 Command did not exit successfully pipeline test stacks exit status 1",
        "[Container] 2026/11/23 12:24:24.4 Phase complete: BUILD State: FAILED",
    ]
    assert telling(log) == log[1:3]


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            {"status": "FAILED", "type": "TEST", "testSummary": {"total": 3, "statusCounts": {"SUCCEEDED": 2}}},
            "[bad]✗[/] etl-dags: 2 of 3 passed",
        ),
        (
            {
                "status": "SUCCEEDED",
                "type": "TEST",
                "testSummary": {"total": 3, "statusCounts": {"SUCCEEDED": 2, "SKIPPED": 1}},
            },
            "[good]✓[/] etl-dags: 2 of 3 passed, 1 skipped",
        ),
        (
            {
                "status": "SUCCEEDED",
                "type": "CODE_COVERAGE",
                "codeCoverageSummary": {"lineCoveragePercentage": 87.4},
            },
            "[good]✓[/] etl-dags: 87 % of lines",
        ),
    ],
)
def test_a_report_is_one_line(report: dict[str, object], line: str) -> None:
    assert report_line({"reportGroupArn": "arn:aws:codebuild:x:1:report-group/etl-dags", **report}) == line


def test_an_approval_names_its_execution_and_those_that_wait_behind_it() -> None:
    state = {
        "stageStates": [
            {
                "stageName": "Build",
                "actionStates": [{"actionName": "synth", "latestExecution": {"status": "Succeeded"}}],
            },
            {
                "stageName": "prod",
                "latestExecution": {"pipelineExecutionId": "first"},
                "inboundExecution": {"pipelineExecutionId": "second"},
                "actionStates": [
                    {"actionName": "approve", "latestExecution": {"status": "InProgress", "token": "t"}},
                    {"actionName": "sync-prod"},
                ],
            },
        ]
    }
    assert approvals(state) == (Approval("prod", "first", ("second",)),)
