"""`pipeline local airflow …`: look at the local Airflow, run a DAG, read its logs, start afresh."""

import json
import os
import sys
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import click
from rich.markup import escape

from pipeline import names, settings
from pipeline.console import out, step
from pipeline.errors import EXIT_FAILED, PipelineError, UsageError
from pipeline.localairflow import logs as airflow_logs
from pipeline.localairflow import runs
from pipeline.localairflow.environment import LocalEnvironment
from pipeline.localaws.instance import Instance
from pipeline.localaws.mwaa import records

FOLDER = Path(".local")  # of the local AWS, as in pipeline/local.py
_STYLES = {"success": "good", "failed": "bad", "upstream_failed": "bad", "up_for_retry": "bad"}
_LINES_OF_A_FAILURE = 15
_LOOKS_AT_A_LOG = 8
_LAST_OF_A_TASK = "::endgroup::"

_environment = click.option(
    "--environment", "-e", metavar="NAME", help="Which environment's Airflow; by default the first of cdk.json."
)


@click.group()
def airflow() -> None:
    """The Airflow of an environment on this machine."""


@airflow.command("open")
@_environment
@click.option("--browser/--no-browser", default=True, help="Open it; else only say where it is.")
def open_(environment: str | None, browser: bool) -> None:
    """Open Airflow's user interface, signed in."""
    found = _find(environment)
    url = found.sign_in_url()
    out.print(f"{found.name}: {found.url()}")
    if browser and not webbrowser.open(url):
        out.print(f"[quiet]No browser could be started here. This link signs you in:[/]\n{url}")


@airflow.command()
@click.argument("dag")
@_environment
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The data interval: that day.")
@click.option("--conf", default="{}", metavar="JSON", help="The run's parameters.")
@click.option("--follow/--no-follow", default=True, help="Wait for its end.")
def run(dag: str, environment: str | None, day: datetime | None, conf: str, follow: bool) -> None:
    """Run a DAG once, switched on, and follow its tasks."""
    found = _find(environment)
    body = runs.request(datetime.now(UTC), day.date() if day else None, _conf(conf))
    runs.start(found, dag, body)
    out.print(f"{dag} runs in {found.name} as {body['dag_run_id']}")
    if not follow:
        return

    def tell(task: runs.Task) -> None:
        again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
        out.print(f"  [{_STYLES.get(task.state, 'busy')}]{task.state:<16}[/] {escape(task.id)}{again}")

    state, tasks = runs.follow(found, dag, str(body["dag_run_id"]), tell)
    out.print(f"[{_STYLES[state]}]{state}[/] {dag}")
    if state == "success":
        return
    for task in tasks:
        if task.state == "failed":
            _show_failure(found, dag, str(body["dag_run_id"]), task)
    sys.exit(EXIT_FAILED)


@airflow.command()
@click.argument("source", type=click.Choice(list(airflow_logs.SOURCES)), default="tasks")
@_environment
@click.option("--lines", "most", type=click.IntRange(1), default=50, show_default=True, help="How many from the end.")
@click.option("--follow", "-f", is_flag=True, help="And each new line, until interrupted.")
def logs(source: str, environment: str | None, most: int, follow: bool) -> None:
    """The last lines of a component's log, as they are in CloudWatch Logs."""
    found = _find(environment)
    found.described()
    source_lines = airflow_logs.follow(found, source, most) if follow else airflow_logs.lines(found, source, most=most)
    for line in source_lines:
        click.echo(line)


@airflow.command("reset-db")
@_environment
@click.confirmation_option(prompt="Forget all runs, connections and variables of this Airflow?")
def reset_db(environment: str | None) -> None:
    """Let Airflow start with an empty database; DAGs, requirements and plugins stay."""
    found = _find(environment)
    with step(f"{found.name} with an empty database"):
        found.make_anew()


@airflow.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_environment
@click.option("--shell", "program", envvar="SHELL", default="/bin/bash", hidden=True)
@click.option("--terminal", envvar="TERM", default="dumb", hidden=True)
def shell(command: tuple[str, ...], environment: str | None, program: str, terminal: str) -> None:
    """A shell, or one COMMAND, with the variables and the programs that Airflow's tasks have."""
    found = _find(environment)
    folder = found.region.folder / "mwaa" / found.name
    variables = records.read_variables(folder)
    if variables is None:
        raise PipelineError(
            "its Airflow never ran", where=found.name, mend="`pipeline local airflow logs` may say why."
        )
    sys.stdout.flush()
    os.chdir(folder / "home")
    line = command or (program,)
    os.execvpe(line[0], line, {**variables, "TERM": terminal})  # noqa: S606 - the person's own command


def _find(environment: str | None) -> LocalEnvironment:
    configured = settings.load(Path.cwd())
    chosen = environment or next(iter(configured.environments))
    configured.environment(chosen)
    instance = Instance(FOLDER)
    return LocalEnvironment(
        instance.address().in_folder(instance.folder), names.airflow_environment(configured, chosen)
    )


def _conf(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--conf is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f'--conf is {text}; expected an object, like {{"day": "2026-01-01"}}')
    return found


def _show_failure(environment: LocalEnvironment, dag: str, run_id: str, task: runs.Task) -> None:
    stream = f"dag_id={dag}/run_id={run_id}/task_id={task.id.partition('[')[0]}/"
    out.print(f"\n[bad]{escape(task.id)}[/] failed:")
    lines: list[str] = []
    for _ in range(_LOOKS_AT_A_LOG):
        lines = airflow_logs.lines(environment, "tasks", stream, _LINES_OF_A_FAILURE)
        if lines and lines[-1].endswith(_LAST_OF_A_TASK):
            break
        sleep(1)  # a task's last lines reach CloudWatch some seconds after it ended
    for line in lines:
        click.echo(f"  {line}")
