"""Options that several commands about images have."""

from pathlib import Path

import click

containers = click.option(
    "--containers",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("containers"),
    show_default=True,
    help="The folder with a folder for each container.",
)
json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
