"""The `pipeline` command: parse, wire, report errors; nothing else.

Each package brings its own commands in a `commands` module; they are imported when used, so `pipeline --help` is quick.
"""

import importlib
import sys
from typing import Final

import click
from rich.markup import escape

from pipeline.console import err
from pipeline.errors import EXIT_INTERRUPTED, PipelineError

# name → module:attribute, in the order `--help` shows them
COMMANDS: Final = {
    "test": "pipeline.dagtest.commands:test",
    "images": "pipeline.images.commands:images",
    "diff": "pipeline.release.commands:diff",
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
    "local": "pipeline.localaws.commands:local",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in a deliberate order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - a slip in the table above, not a user's
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def pipeline() -> None:
    """Ship Airflow DAGs and the containers they run: test, build, release, operate, on AWS or on this machine."""


def main() -> None:
    """The entry point: every failure a person can cause ends as a sentence and an exit code."""
    try:
        pipeline(standalone_mode=False)
    except PipelineError as error:
        err.print(f"[bad]error:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        err.print("interrupted")
        sys.exit(EXIT_INTERRUPTED)
