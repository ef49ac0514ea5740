"""Options that several release commands have."""

from pathlib import Path

import click

environment = click.argument("environment")
json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
dry_run = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
no_verify = click.option(
    "--no-verify", is_flag=True, help="Do not ask the running Airflow; the release is recorded as not verified."
)
FILE = click.Path(dir_okay=False, path_type=Path)
reports = click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    default="reports",
    show_default=True,
    help="The folder with what the tests and builds left: dags.json, images.json, *.xml.",
)
release_file = click.option(
    "--release-file",
    type=FILE,
    help="Write the id of the release that runs at the end into this file.",
)
commit = click.option(
    "--commit", envvar="CODEBUILD_RESOLVED_SOURCE_VERSION", help="The commit of the files; else git's HEAD."
)
by = click.option("--by", envvar="CODEBUILD_BUILD_ID", help="Who releases; else user@machine.")
lock_seconds = click.option(
    "--lock-seconds",
    type=click.IntRange(min=1, max=86_400),
    default=300,
    show_default=True,
    help="After so long without a sign of life of this command, others may take its lock over.",
)
