"""`pipeline status | watch | logs | reports | approve | reject | retry`."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from pipeline import aws, names, settings
from pipeline.console import out
from pipeline.errors import EXIT_FAILED, PipelineError
from pipeline.operate import never_created
from pipeline.operate.client import PipelineClient
from pipeline.operate.executions import Action, Execution
from pipeline.operate.show import SHORT, advice, heading, held_line, reason_lines, report_line, stage_lines
from pipeline.operate.watch import Watcher

_execution = click.option("--execution", "execution_id", metavar="ID", help="Which execution; the newest by default.")
_comment = click.option("--comment", default="", help="What the history will say about it.")
_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


def connect() -> PipelineClient:
    """The project's pipeline, wherever the environment points."""
    configured = settings.load(Path.cwd())
    return PipelineClient(aws.session(configured.region), names.code_pipeline(configured))


def _find(client: PipelineClient, execution_id: str | None) -> Execution:
    """The execution of that id (its first characters do), or the newest."""
    known = [str(summary["pipelineExecutionId"]) for summary in client.executions(most=100)]
    matching = [candidate for candidate in known if candidate.startswith(execution_id or "")]
    if not matching:
        what = f"there is no execution {execution_id}" if execution_id else "nothing has run yet"
        raise PipelineError(what, where=client.name, mend="Push a commit: git push local main")
    return client.execution(matching[0])


@click.command()
@_execution
@_json
def status(execution_id: str | None, as_json: bool) -> None:
    """Where the newest commit is, and why it stopped there."""
    client = connect()
    execution = _find(client, execution_id)
    reasons = {action: list(client.why(action)) for action in execution.failed}
    if as_json:
        document = dataclasses.asdict(execution)
        document["reasons"] = [
            {"stage": action.stage, "action": action.name, "lines": lines} for action, lines in reasons.items()
        ]
        click.echo(json.dumps(document, indent=2))
        return
    out.print(heading(client.name, execution))
    for stage in execution.stages:
        for line in stage_lines(stage):
            out.print(line)
    for action, lines in reasons.items():
        for line in reason_lines(action, lines):
            out.print(line)
    for held in client.approvals():
        if execution.id in held.behind:
            out.print(f"{held.stage}: {held_line(held)}")
    for line in advice(execution):
        out.print(line)


@click.command()
@_execution
def watch(execution_id: str | None) -> None:
    """Follow an execution until it ends or waits for approval."""
    client = connect()
    _follow(client, _find(client, execution_id).id)


@click.command()
@click.argument("action", required=False)
@_execution
def logs(action: str | None, execution_id: str | None) -> None:
    """The whole log of an action's build; by default of the one that failed, else of the last."""
    client = connect()
    execution = _find(client, execution_id)
    builds = [candidate for candidate in execution.actions if candidate.provider == "CodeBuild"]
    for line in client.build_log(_pick(builds, action, client.name).external_id):
        click.echo(line)


def _pick(builds: list[Action], name: str | None, where: str) -> Action:
    started = [build for build in builds if build.external_id]
    if name is not None:
        found = [build for build in started if name in (build.name, f"{build.stage}/{build.name}")]
        if not found:
            known = ", ".join(f"{build.stage}/{build.name}" for build in started) or "none yet"
            raise PipelineError(f"no build of an action {name!r}; there are: {known}", where=where)
        return found[-1]
    if not started:
        raise PipelineError("no build has started yet", where=where)
    return next((build for build in started if build.status == "Failed"), started[-1])


@click.command()
@_execution
@_json
def reports(execution_id: str | None, as_json: bool) -> None:
    """The test reports of an execution: how many passed, and what each failed test says."""
    client = connect()
    execution = _find(client, execution_id)
    found = [
        (action, report) for action in execution.actions if action.provider == "CodeBuild" and action.external_id
        for report in client.reports(action.external_id)
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps([dict(report) for _, report in found], indent=2, default=str))
        return
    if not found:
        out.print("no reports yet")
    for action, report in found:
        out.print(f"{action.name}: {report_line(report)}")
        for case in client.failed_tests(report["arn"]):
            out.print(f"    [bad]✗[/] {case['name']}", markup=True)
            for line in case.get("message", "").splitlines():
                out.print(f"        {line}", markup=False)


@click.command()
@click.argument("stage", required=False)
@_comment
@_execution
def approve(stage: str | None, comment: str, execution_id: str | None) -> None:
    """Let the release that waits go on, and follow it."""
    client = connect()
    execution = _answer(client, _asking(client, execution_id, stage), stage, comment, approve=True)
    _follow(client, execution.id)


@click.command()
@click.argument("stage", required=False)
@_comment
@_execution
def reject(stage: str | None, comment: str, execution_id: str | None) -> None:
    """Stop the release that waits."""
    client = connect()
    _answer(client, _asking(client, execution_id, stage), stage, comment, approve=False)


def _asking(client: PipelineClient, execution_id: str | None, stage: str | None) -> Execution:
    """The execution of that id, else the one that waits for an answer, which need not be the newest."""
    waiting = [] if execution_id else [found for found in client.approvals() if stage in (None, found.stage)]
    return client.execution(waiting[0].execution_id) if waiting else _find(client, execution_id)


def _answer(
    client: PipelineClient, execution: Execution, stage: str | None, comment: str, *, approve: bool
) -> Execution:
    waiting = [action for action in execution.waiting if stage in (None, action.stage)]
    if not waiting:
        raise PipelineError(
            f"nothing waits for approval{f' in {stage}' if stage else ''}; the execution is {execution.status}",
            where=f"{client.name}: execution {execution.id[:SHORT]}",
            mend="`pipeline status` shows where it is.",
        )
    client.answer_approval(waiting[0], approve=approve, comment=comment)
    out.print(f"{'approved' if approve else 'rejected'}: {waiting[0].stage}, commit {execution.commit[:SHORT]}")
    return execution


def _follow(client: PipelineClient, execution_id: str) -> None:
    last = Watcher(client).follow(execution_id)
    if last.ended and last.status != "Succeeded":
        sys.exit(EXIT_FAILED)


@click.command()
@click.argument("stage", required=False)
@_execution
def retry(stage: str | None, execution_id: str | None) -> None:
    """Run the failed actions of a stage again, and follow."""
    client = connect()
    execution = _find(client, execution_id)
    failed = [action for action in execution.failed if stage in (None, action.stage)]
    if not failed:
        raise PipelineError(f"nothing failed in execution {execution.id[:SHORT]}", where=client.name)
    client.retry(execution, failed[0].stage)
    _follow(client, execution.id)


@click.command()
def clear() -> None:
    """Delete stacks whose first creation failed: they hold nothing, and nothing can update them."""
    configured = settings.load(Path.cwd())
    account = configured.account or aws.account(aws.session(configured.region))
    never_created.clear(configured, account, lambda line: out.print(line, markup=False))
