"""`pipeline images plan`, apart from the other commands: it needs neither Docker nor what checks images."""

import json
from functools import partial
from pathlib import Path

import click

from pipeline import names, settings
from pipeline.console import out
from pipeline.images import options
from pipeline.images.account import registry_session
from pipeline.images.ecr import EcrRegistry
from pipeline.images.report import plan_document, plan_lines
from pipeline.images.survey import survey


@click.command()
@options.containers
@options.json
def plan(folder: Path, as_json: bool) -> None:
    """Say for each container: up to date, or rebuild and why."""
    configured = settings.load(Path.cwd())
    registry = EcrRegistry(registry_session(configured), partial(names.image_repository, configured))
    found = survey(folder, registry)
    if as_json:
        click.echo(json.dumps(plan_document(found.plan), indent=2))
    for line in () if as_json else plan_lines(found.plan):
        out.print(line, markup=False)
