"""`pipeline images plan | build` and `pipeline test containers`: parse, call, print."""

import json
import sys
from pathlib import Path
from threading import Event

import click

from pipeline import aws, names, settings
from pipeline.console import out
from pipeline.errors import PipelineError
from pipeline.git import Git
from pipeline.images.build import Build, Failed, Origin, Outcome, Skipped
from pipeline.images.builders import docker_engine, open_builder
from pipeline.images.containers import discover
from pipeline.images.plan import UpToDate
from pipeline.images.progress import Lines
from pipeline.images.registry import EcrRegistry
from pipeline.images.report import images_document, plan_document, plan_lines, summary
from pipeline.images.survey import Survey, survey
from pipeline.images.unittests import SECONDS, Tests, with_tests
from pipeline.settings import Settings

_containers = click.option(
    "--containers",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("containers"),
    show_default=True,
    help="The folder with a folder for each container.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_at_once = click.option(
    "--at-once", type=click.IntRange(1, 16), default=2, show_default=True, help="Images built at the same time."
)


@click.group()
def images() -> None:
    """Which images must be rebuilt, why, and building them."""


@images.command()
@_containers
@_json
def plan(folder: Path, as_json: bool) -> None:
    """Say for each container: up to date, or rebuild and why."""
    configured = settings.load(Path.cwd())
    found = survey(folder, _registry(configured))
    if as_json:
        click.echo(json.dumps(plan_document(found.plan), indent=2))
    for line in () if as_json else plan_lines(found.plan):
        out.print(line, markup=False)


@images.command()
@_containers
@_json
@_at_once
@click.option(
    "--images-file",
    type=click.Path(path_type=Path),
    default=Path("images.json"),
    show_default=True,
    help="Where to write what came of each image.",
)
@click.option("--summary-file", type=click.Path(path_type=Path), help="Where to write the summary, one line.")
@click.option(
    "--revision",
    envvar="CODEBUILD_RESOLVED_SOURCE_VERSION",
    default=lambda: Git(Path.cwd()).commit_of("HEAD") or "",
    help="The commit, for the images' labels; HEAD by default.",
)
@click.option(
    "--docker-config",
    type=click.Path(path_type=Path),
    envvar="DOCKER_CONFIG",
    default=lambda: Path.home() / ".docker",
    help="Docker's own configuration folder; it is read, never written.",
)
def build(
    *,
    folder: Path,
    as_json: bool,
    at_once: int,
    images_file: Path,
    summary_file: Path | None,
    revision: str,
    docker_config: Path,
) -> None:
    """Build and push the images whose content the registry does not have."""
    configured = settings.load(Path.cwd())
    registry = _registry(configured)
    found = survey(folder, registry)
    lines = Lines(sys.stderr if as_json else sys.stdout, found.inputs)
    for line in plan_lines(found.plan):
        lines.plain(line)
    origin = Origin(f"codecommit::{configured.region}://{configured.repository}", revision)
    outcomes = _carry_out(found, registry, lines, origin=origin, docker_config=docker_config, at_once=at_once)
    document = json.dumps(images_document(outcomes), indent=2)
    images_file.write_text(document + "\n", encoding="utf-8")
    lines.plain(summary(outcomes))
    if summary_file is not None:
        summary_file.write_text(summary(outcomes) + "\n", encoding="utf-8")
    if as_json:
        click.echo(document)
    if failed := [outcome for outcome in outcomes if isinstance(outcome, Failed)]:
        absent = [outcome.name for outcome in outcomes if isinstance(outcome, Failed | Skipped)]
        reasons = "\n\n".join(str(each.error) for each in failed)
        raise PipelineError(f"not in the registry: {', '.join(absent)}\n\n{reasons}")


@click.command("containers")
@click.argument("chosen", metavar="[CONTAINER]...", nargs=-1)
@_containers
@_at_once
@click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path("reports/containers"),
    show_default=True,
    help="Where JUnit reports are written.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="How long the tests of one container may run.",
)
def test_containers(chosen: tuple[str, ...], folder: Path, at_once: int, reports: Path, seconds: float) -> None:
    """Build each container's `test` stage and run it, without a network."""
    containers = discover(folder)
    selected = with_tests(containers, chosen)
    lines = Lines(sys.stdout, [container.name for container in containers])
    stop = Event()
    with docker_engine() as client, open_builder(client, stop) as builder:
        results = Tests(builder, client, reports, lines.of, stop=stop, seconds=seconds).run(
            containers, selected, at_once
        )
    if bad := [result for result in results if result.problem]:
        raise PipelineError("\n".join(f"{result.name}: {result.problem}" for result in bad))
    lines.plain(f"{sum(result.tests for result in results)} tests of {len(results)} containers passed")


def _carry_out(
    found: Survey, registry: EcrRegistry, lines: Lines, *, origin: Origin, docker_config: Path, at_once: int
) -> tuple[Outcome, ...]:
    """Build what the plan says. Where nothing must be built neither a login nor Docker is needed."""
    jobs = found.jobs()
    if not jobs:
        return tuple(verdict for verdict in found.plan.verdicts if isinstance(verdict, UpToDate))
    stop = Event()
    with docker_engine() as client, open_builder(client, stop, registry.login(), docker_config) as builder:
        lines.plain(f"building with {builder.name}")
        return Build(builder, registry, lines.of, origin, stop).run(found.plan, jobs, at_once)


def _registry(configured: Settings) -> EcrRegistry:
    return EcrRegistry(aws.session(configured.region), lambda container: names.image_repository(configured, container))
