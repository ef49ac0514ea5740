"""The `pipeline` command: parse, wire, report errors; nothing else.

Each package brings its own commands in a `commands` module; they are imported when used, so `pipeline --help` is quick.
"""

import gc
import importlib
import io
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.markup import escape

from pipeline.console import err
from pipeline.errors import EXIT_INTERRUPTED, PipelineError

GARBAGE_AFTER = 100_000  # new objects: commands are short, and Python's 700 would have it look for garbage all the time

# name → module:attribute, in the order `--help` shows them
COMMANDS: Final = {
    "doctor": "pipeline.doctor:doctor",
    "test": "pipeline.cli:test",
    "images": "pipeline.cli:images",
    "diff": "pipeline.diff:diff",
    "sync": "pipeline.release.commands:sync",
    "releases": "pipeline.release.commands:releases",
    "rollback": "pipeline.release.commands:rollback",
    "status": "pipeline.operate.commands:status",
    "watch": "pipeline.operate.commands:watch",
    "logs": "pipeline.operate.commands:logs",
    "reports": "pipeline.operate.commands:reports",
    "approve": "pipeline.operate.commands:approve",
    "reject": "pipeline.operate.commands:reject",
    "retry": "pipeline.operate.commands:retry",
    "clear": "pipeline.operate.commands:clear",
    "local": "pipeline.local:local",
}

IMAGES: Final = {
    "plan": "pipeline.images.plan_command:plan",
    "build": "pipeline.images.commands:build",
    "check": "pipeline.images.commands:check",
    "pin": "pipeline.images.commands:pin",
    "prune": "pipeline.prune:prune",
}

TESTS: Final = {
    "dags": "pipeline.dagtest.commands:dags",
    "requirements": "pipeline.dagtest.commands:requirements",
    "containers": "pipeline.images.commands:test_containers",
    "stacks": "pipeline.dagtest.commands:stacks",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def __init__(self, table: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in a deliberate order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now."""
        if cmd_name not in self.table:
            return None
        return _imported(self.table[cmd_name])


def _imported(entry: str) -> click.Command:
    module, attribute = entry.split(":")
    try:
        command = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "pipeline":
            raise
        return _unavailable(attribute, str(error.name).partition(".")[0])
    assert isinstance(command, click.Command)  # noqa: S101 - a slip in the tables above, not a user's
    return command


def _unavailable(name: str, missing: str) -> click.Command:
    """In place of a command whose packages are not installed: builds have no local AWS."""

    def refuse() -> None:
        raise PipelineError(
            f"`pipeline {name}` needs the package {missing}, which is not installed here",
            mend="It is in requirements-dev.lock; `make setup` installs all of that.",
        )

    return click.Command(
        name,
        callback=refuse,
        help=f"Not installed here: needs {missing}, from requirements-dev.lock.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
    )


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def pipeline() -> None:
    """Ship Airflow DAGs and the containers they run: test, build, release, operate, on AWS or on this machine."""


@click.group(cls=LazyGroup, table=IMAGES)
def images() -> None:
    """Which images must be rebuilt, and why; building them, and deleting those that nobody needs."""


@click.group(cls=LazyGroup, table=TESTS, invoke_without_command=True)
@click.pass_context
def test(ctx: click.Context) -> None:
    """Test DAGs, containers and stacks; without a command all of them, each to its end."""
    if ctx.invoked_subcommand is not None:
        return
    failed = []
    for name, entry in TESTS.items():
        try:
            ctx.invoke(_imported(entry))
        except PipelineError as error:
            _tell(error)
            failed.append(name)
    if failed:
        raise PipelineError(f"failed: {', '.join(failed)}", mend=f"Again with: pipeline test {failed[0]}")


def main() -> None:
    """The entry point: every failure a person can cause ends as a sentence and an exit code."""
    gc.set_threshold(GARBAGE_AFTER)
    _listen()
    try:
        pipeline(prog_name="pipeline", standalone_mode=False)
    except PipelineError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        err.print("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        told = _of_aws(error)
        if told is None:
            raise
        _tell(told)
        sys.exit(told.exit_code)


def _listen() -> None:
    """Be ended as by Ctrl-C by whatever ends us politely, so that all that is open is closed; say any name there is."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text


def _tell(error: PipelineError) -> None:
    err.print(f"[bad]error:[/] {escape(str(error))}")


def _of_aws(error: Exception) -> PipelineError | None:
    """AWS failed where the command did not expect it: it went away, most of the time. Imports nothing for it."""
    sdk = sys.modules.get("botocore.exceptions")
    if sdk is None or not isinstance(error, (sdk.BotoCoreError, sdk.ClientError)):
        return None
    return PipelineError(
        f"AWS does not answer as it should: {error}",
        mend="For the local AWS: is it still up (make run brings it back)? Else: are you still logged in?",
    )
