"""`pipeline images build | check | pin` and `pipeline test containers`: parse, call, print."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import click

from pipeline import aws, names, settings
from pipeline.console import out
from pipeline.errors import PipelineError, UsageError
from pipeline.images import options
from pipeline.images.account import registry_session
from pipeline.images.build_secrets import secret_files
from pipeline.images.builders import open_builder
from pipeline.images.carry_out import How, carry_out, failure
from pipeline.images.checks.finding import refuse
from pipeline.images.checks.judging import Checks
from pipeline.images.checks.pin import pin_all
from pipeline.images.containers import Container, discover
from pipeline.images.ecr import EcrRegistry
from pipeline.images.ecr_scan import EcrScan
from pipeline.images.engine import docker_engine
from pipeline.images.inputs import read_inputs
from pipeline.images.job import Origin
from pipeline.images.progress import Lines
from pipeline.images.report import findings_document, plan_lines, summary
from pipeline.images.results import Results, not_begun
from pipeline.images.revision import revisions
from pipeline.images.scanning import scan_findings
from pipeline.images.survey import survey
from pipeline.images.unittests import SECONDS, Tests, with_tests
from pipeline.settings import Settings

_at_once = click.option(
    "--at-once", type=click.IntRange(1, 16), default=2, show_default=True, help="Images built at the same time."
)
_chosen = click.argument("chosen", metavar="[CONTAINER]...", nargs=-1)
_secrets = click.option(
    "--build-secret",
    "secrets",
    multiple=True,
    metavar="NAME=FILE",
    callback=lambda _context, _option, values: dict(_secret(value) for value in values),
    help="A build secret from a file, instead of where cdk.json has it from.",
)


@click.command()
@options.containers
@options.json
@_at_once
@click.option(
    "--images-file",
    type=click.Path(path_type=Path),
    default=Path("images.json"),
    show_default=True,
    help="Where to write what came of each image.",
)
@_secrets
@click.option(
    "--sbom-folder",
    type=click.Path(path_type=Path),
    default=Path("reports/images/sbom"),
    show_default=True,
    help="Where an SBOM of each image is written.",
)
@click.option("--summary-file", type=click.Path(path_type=Path), help="Where to write the summary, one line.")
@click.option(
    "--revision",
    envvar="CODEBUILD_RESOLVED_SOURCE_VERSION",
    default="",
    help="The commit, for the images' labels; by default HEAD, with `-dirty` where a container's files differ from it.",
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
    sbom_folder: Path,
    secrets: dict[str, Path],
    summary_file: Path | None,
    revision: str,
    docker_config: Path,
) -> None:
    """Build and push the images whose content the registry does not have."""
    configured = settings.load(Path.cwd())
    session = registry_session(configured)
    registry = EcrRegistry(session, _repository(configured))
    found = survey(folder, registry)
    lines = Lines(sys.stderr if as_json else sys.stdout, found.inputs)
    for line in plan_lines(found.plan):
        lines.plain(line)
    own = {} if revision else revisions(folder, found.inputs)
    origin = Origin(f"codecommit::{configured.region}://{configured.repository}", revision, own)
    how = How(origin, docker_config, at_once, sbom_folder, secrets)
    bases = [container.name for container in found.containers if not container.task]
    results = Results(images_file, summary_file, bases)
    # Before anything is built: it shows that they can be written, and an earlier build's are not taken for this one's.
    results.write(not_begun(found.plan, PipelineError("the build did not come to its end")), {})
    try:
        outcomes = carry_out(found, registry, session, configured.images, lines, how=how)
    except PipelineError as error:
        with suppress(PipelineError):  # the first error is the one to tell
            results.write(not_begun(found.plan, error), {})
        raise
    scanner = EcrScan(session, _repository(configured))
    scan = scan_findings(outcomes, found.inputs, scanner, configured.images, lines)
    lines.plain(summary(outcomes))
    document = results.write(outcomes, scan)
    if as_json:
        click.echo(document)
    if problem := failure(outcomes, scan):
        raise problem


@click.command()
@_chosen
@options.containers
@options.json
def check(chosen: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Check containers as a build would before it starts: Dockerfile, base images, size of the context, secrets."""
    configured = settings.load(Path.cwd())
    checks = Checks(configured.images)
    selected = _selected(folder, chosen)
    for container in selected:  # a pipe would be waited for, and what cannot be read cannot be judged
        read_inputs(container, None)
    found = [finding for container in selected for finding in checks.before(container)]
    if as_json:
        click.echo(json.dumps(findings_document(found), indent=2))
    for finding in () if as_json else found:
        out.print(str(finding), markup=False)
        if finding.mend:
            out.print(f"  {finding.mend}", markup=False)
    refuse(found)
    if not found and not as_json:
        out.print("nothing found")


@click.command()
@_chosen
@options.containers
@click.option("--update", is_flag=True, help="Ask for the digests of base images that are pinned, too.")
@options.json
def pin(chosen: tuple[str, ...], folder: Path, update: bool, as_json: bool) -> None:
    """Write the digest of each base image into the Dockerfiles, as their registries have it now."""
    selected = _selected(folder, chosen)
    done = []
    with docker_engine() as client:
        for each in pin_all(client, selected, update=update):
            done.append(each.document())
            if not as_json:
                out.print(str(each), markup=False)
    if as_json:
        click.echo(json.dumps(done, indent=2))


@click.command("containers")
@_chosen
@options.containers
@_at_once
@_secrets
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
def test_containers(
    *, chosen: tuple[str, ...], folder: Path, at_once: int, secrets: dict[str, Path], reports: Path, seconds: float
) -> None:
    """Build each container's `test` stage and run it, without a network."""
    containers = discover(folder)
    selected = with_tests(containers, chosen)
    lines = Lines(sys.stdout, [container.name for container in containers])
    stop = Event()
    needed = frozenset[str]().union(*(container.dockerfile().secrets for container in containers))
    # Without secrets the tests need no settings, and no AWS.
    configured = settings.load(Path.cwd()) if needed else None
    wanted = configured.images.build_secrets if configured else {}
    with (
        docker_engine() as client,
        open_builder(client, stop) as builder,
        secret_files(wanted, secrets, needed, lambda: aws.session(configured.region if configured else "")) as files,
    ):
        tests = Tests(builder, client, reports, lines.of, stop=stop, secrets=files, seconds=seconds)
        results = tests.run(containers, selected, at_once)
    if bad := [result for result in results if result.problem]:
        raise PipelineError("\n".join(f"{result.name}: {result.problem}" for result in bad))
    lines.plain(f"{sum(result.tests for result in results)} tests of {len(results)} containers passed")


def _selected(folder: Path, chosen: tuple[str, ...]) -> list[Container]:
    known = {container.name: container for container in discover(folder)}
    for name in chosen:
        if name not in known:
            raise UsageError(f"there is no container {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    return [container for name, container in known.items() if not chosen or name in chosen]


def _secret(value: str) -> tuple[str, Path]:
    name, equals, file = value.partition("=")
    if not (name and equals and file):
        raise click.BadParameter(f"{value!r} is not of the form NAME=FILE")
    return name, Path(file)


def _repository(configured: Settings) -> Callable[[str], str]:
    return lambda container: names.image_repository(configured, container)
