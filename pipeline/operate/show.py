"""An execution as lines of text, with Rich's markup."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from pipeline.operate.executions import NOT_STARTED, Action, Approval, Execution, Stage

_SIGNS = {
    "Succeeded": "[good]✓[/]",
    "Failed": "[bad]✗[/]",
    "InProgress": "[busy]▸[/]",
    "Abandoned": "[bad]⊘[/]",
    NOT_STARTED: "[quiet]·[/]",
}
_WAITS = "[busy]‖[/]"
SHORT = 8  # characters of a commit or an execution that people recognise


def heading(pipeline: str, execution: Execution) -> str:
    """Which execution of which commit, and how it stands."""
    commit = f"{execution.commit[:SHORT]} {escape(execution.message.splitlines()[0] if execution.message else '')}"
    status = "waits for approval" if execution.waiting else execution.status
    return f"[bold]{pipeline}[/] · {commit.strip() or 'no commit yet'} · execution {execution.id[:SHORT]} · {status}"


def stage_lines(stage: Stage) -> Iterator[str]:
    """A stage and, when anything happened in it, its actions."""
    yield f"  {_SIGNS[stage.status]} {stage.name}"
    if stage.status != NOT_STARTED:
        for action in stage.actions:
            yield f"      {action_line(action)}"


def action_line(action: Action) -> str:
    """One action: sign, name, time."""
    sign = _WAITS if action.waits_for_approval else _SIGNS.get(action.status, "?")
    took = f" [quiet]{action.seconds:.0f} s[/]" if action.seconds is not None and not action.waits_for_approval else ""
    note = " — waits for a release manager" if action.waits_for_approval else ""
    return f"{sign} {escape(action.name)}{took}{note}"


def held_line(approval: Approval) -> str:
    """That an execution waits for a stage in which another waits for a release manager."""
    return (
        f"{_WAITS} held by execution {approval.execution_id[:SHORT]}, which waits for a release manager; this one "
        "follows when it is approved or rejected"
    )


def reason_lines(action: Action, why: Sequence[str]) -> Iterator[str]:
    """Why an action failed."""
    yield f"[bad]{action.stage} / {escape(action.name)} failed[/]"
    for line in why:
        yield f"    {escape(line)}"


def report_line(report: Mapping[str, Any]) -> str:
    """A CodeBuild report (botocore: Report) in one line: how many tests passed, or how much code they reached."""
    sign = "[good]✓[/]" if report["status"] == "SUCCEEDED" else "[bad]✗[/]"
    group = escape(report["reportGroupArn"].rpartition("/")[2])
    if report.get("type") == "CODE_COVERAGE":
        return f"{sign} {group}: {report['codeCoverageSummary']['lineCoveragePercentage']:.0f} % of lines"
    summary = report.get("testSummary", {})
    counts = summary.get("statusCounts", {})
    skipped = f", {counts['SKIPPED']} skipped" if counts.get("SKIPPED") else ""
    return f"{sign} {group}: {counts.get('SUCCEEDED', 0)} of {summary.get('total', 0)} passed{skipped}"


def advice(execution: Execution) -> Iterator[str]:
    """What is asked of people, and the next command, where there is one."""
    for action in execution.waiting:
        if action.request:
            yield escape(action.request)
        if action.link:
            yield f"Its dossier: {escape(action.link)}"
        yield f"`pipeline approve` brings this release to {action.stage}; `pipeline reject` does not."
    if execution.failed:
        yield (
            "`pipeline logs` shows the whole log; push a commit that mends it, or `pipeline retry` when the cause lay "
            "elsewhere."
        )
