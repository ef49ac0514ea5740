"""Carry out what a survey found: engine, log-in, secrets and checks put together, and given up again in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import boto3

from pipeline.errors import PipelineError
from pipeline.images.build import Build
from pipeline.images.build_secrets import secret_files
from pipeline.images.builders import open_builder
from pipeline.images.checks.finding import Finding
from pipeline.images.checks.judging import Checks
from pipeline.images.content import content_tag
from pipeline.images.ecr import EcrRegistry
from pipeline.images.engine import docker_engine
from pipeline.images.job import Origin
from pipeline.images.maker import Maker
from pipeline.images.outcome import Failed, Outcome, Skipped
from pipeline.images.plan import UpToDate
from pipeline.images.progress import Lines
from pipeline.images.survey import Survey
from pipeline.settings import Images


@dataclass(frozen=True)
class How:
    """What a build is told on the command line.

    Attributes:
        origin: Where the sources come from.
        docker_config: Docker's own configuration folder.
        at_once: Images built at the same time.
        sboms: Where SBOMs are written.
        secrets: Id → file of build secrets that come from files.
    """

    origin: Origin
    docker_config: Path
    at_once: int
    sboms: Path
    secrets: Mapping[str, Path] = field(default_factory=dict)


def carry_out(
    found: Survey, registry: EcrRegistry, session: boto3.Session, configured: Images, lines: Lines, *, how: How
) -> tuple[Outcome, ...]:
    """Build what the plan says. Where nothing must be built neither a login nor Docker is needed."""
    jobs = found.jobs()
    if not jobs:
        return tuple(verdict for verdict in found.plan.verdicts if isinstance(verdict, UpToDate))
    stop = Event()
    needed = frozenset().union(*(job.container.dockerfile().secrets for job in jobs.values()))
    tags = {name: content_tag(inputs) for name, inputs in found.inputs.items()}
    with (
        docker_engine() as client,
        open_builder(client, stop, registry.login(), how.docker_config) as builder,
        secret_files(configured.build_secrets, how.secrets, needed, lambda: session) as secrets,
    ):
        lines.plain(f"building with {builder.name}")
        maker = Maker(
            builder,
            registry,
            lines.of,
            origin=how.origin,
            judge=Checks(configured, client, how.sboms, tags, how.secrets),
            secrets=secrets,
        )
        return Build(maker, lines.of, stop).run(found.plan, jobs, how.at_once)


def failure(outcomes: Sequence[Outcome], found: Mapping[str, Sequence[Finding]]) -> PipelineError | None:
    """The error that a build ends with, or None when every image is in the registry and none is denied."""
    absent = [each.name for each in outcomes if isinstance(each, Failed | Skipped)]
    denied = {name: [each for each in findings if each.denied] for name, findings in found.items()}
    reasons = [str(each.error) for each in outcomes if isinstance(each, Failed)]
    reasons += [f"{each.where}: {each.what}\n{each.mend}" for findings in denied.values() for each in findings]
    said = [f"not in the registry: {', '.join(absent)}"] if absent else []
    said += [f"in the registry, but denied: {', '.join(name for name, each in denied.items() if each)}"] * any(
        denied.values()
    )
    return PipelineError("\n\n".join(["; ".join(said), *reasons])) if said else None
