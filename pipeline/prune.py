"""`pipeline images prune`: delete the images that nobody needs any more.

The one module that knows both sides: `images` decides what is kept, and `release` knows what releases run.
"""

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import click

from pipeline import names, settings
from pipeline.errors import PipelineError
from pipeline.images import options
from pipeline.images.account import registry_session
from pipeline.images.containers import discover
from pipeline.images.content import content_tags
from pipeline.images.ecr_store import EcrStore
from pipeline.images.progress import Lines
from pipeline.images.prune import KEPT_DAYS, by_repository, carry_out, plan_prune
from pipeline.images.registry import AT_ONCE
from pipeline.images.report import prune_document, prune_lines
from pipeline.operate.client import aws_errors
from pipeline.release import record, situation
from pipeline.release.bucket import Bucket
from pipeline.release.connection import connect
from pipeline.release.pointer import POINTER_KEY
from pipeline.release.record import RELEASES_PREFIX, ReleaseRecord
from pipeline.release.s3 import PARALLEL

OF_TREE = "the working tree's"


@click.command()
@options.containers
@options.json
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.IntRange(min=1),
    default=KEPT_DAYS,
    show_default=True,
    help="Keep what was pushed or pulled not longer ago.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and delete nothing.")
def prune(*, folder: Path, as_json: bool, older_than: int, dry_run: bool) -> None:
    """Delete old images that neither a recorded release of any environment nor this working tree references."""
    configured = settings.load(Path.cwd())
    tags = content_tags(discover(folder))
    lines = Lines(sys.stderr if as_json else sys.stdout, tags)
    session = registry_session(configured)
    store = EcrStore(session, partial(names.image_repository, configured))
    refuse_unknown(session, configured)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        stored = dict(zip(tags, threads.map(store.stored, tags), strict=True))
    # After the images: a release that is recorded meanwhile counts.
    references: dict[str, str] = {}
    for environment in configured.environments:
        lines.plain(f"reading the releases of {environment}")
        references |= referenced(environment)
    by_releases = by_repository(references)
    needed = {
        name: {tag: OF_TREE} | by_releases.get(names.image_repository(configured, name), {})
        for name, tag in tags.items()
    }
    plan = plan_prune(stored, needed, timedelta(days=older_than), datetime.now(UTC))
    for line in prune_lines(plan):
        lines.plain(line)
    failed = {} if dry_run else carry_out(plan, store)
    lines.plain("dry run: nothing was deleted" if dry_run else f"deleted: {len(plan.deletions) - len(failed)}")
    if as_json:
        click.echo(json.dumps(prune_document(plan, failed, dry_run=dry_run), indent=2))
    if failed:
        said = "\n".join(f"  {digest}: {why}" for digest, why in failed.items())
        raise PipelineError(f"the registry did not delete {len(failed)} images:\n{said}", mend="Run the command again.")


def refuse_unknown(session: boto3.Session, configured: settings.Settings) -> None:
    """See that cdk.json knows every environment the pipeline deploys: an older commit's, or a branch's, may not.

    Raises:
        PipelineError: It does not, or the pipeline cannot be read.
    """
    name = names.code_pipeline(configured)
    try:
        with aws_errors(name):
            declared = session.client("codepipeline").get_pipeline(name=name)["pipeline"]
    except PipelineError as error:
        raise PipelineError(
            f"nothing is deleted, since the pipeline does not say which environments there are: {error.what}",
            where=error.where,
            mend=error.mend or "Whoever prunes needs codepipeline:GetPipeline, in the pipeline's account and region.",
        ) from None
    if unknown := [each for each in deployed(declared, configured) if each not in configured.environments]:
        raise PipelineError(
            f"nothing is deleted, since this cdk.json does not name what the pipeline deploys: {', '.join(unknown)}",
            where=settings.SETTINGS_FILE,
            mend=f"Run the command on the newest commit of {configured.branch}. An environment that is gone for good "
            "must be taken out of cdk.json there, and the pipeline must have updated itself.",
        )


def deployed(pipeline: Mapping[str, Any], configured: settings.Settings) -> list[str]:
    """The environments that a pipeline deploys: its stages that deploy the stack of the tasks.

    Args:
        pipeline: Its declaration, as GetPipeline has it.
        configured: The project's settings.
    """
    return [
        str(stage["name"])
        for stage in pipeline["stages"]
        if any(
            action.get("configuration", {}).get("StackName") == names.stack(configured, stage["name"], "tasks")
            for action in stage["actions"]
        )
    ]


def referenced(environment: str) -> dict[str, str]:
    """Image, as task definitions name it → who needs it: each recorded release of an environment, and its stacks.

    The stacks' task definitions may belong to a release that is being made now. Revisions that neither names were
    deployed for a release that failed, and no DAG starts them.

    Raises:
        PipelineError: Not all of it can be read.
    """
    try:
        return _referenced(environment)
    except PipelineError as error:
        raise PipelineError(
            f"nothing is deleted, since the releases of {environment} cannot be read: {error.what}",
            where=error.where,
            mend=f"{error.mend} An environment that is gone for good must be taken out of cdk.json first.".lstrip(),
        ) from None


def _referenced(environment: str) -> dict[str, str]:
    connection = connect(environment, verify=False, reads_only=True)
    found: dict[str, str] = {}
    known: set[str] = set()  # task definitions
    unknown: list[tuple[str, str, str]] = []  # container, task definition, who needs it
    for release in _records(connection.bucket):
        who = f"release {release.id} of {environment}"
        for container, task in release.tasks.items():
            if task.image:
                found[task.image] = who
                known.add(task.task_definition)
            else:
                unknown.append((container, task.task_definition, who))
    deployed = connection.deployment.task_definitions.items()
    unknown += [(name, arn, f"deployed in {environment}") for name, arn in deployed if arn not in known]
    for container, arn, who in unknown:
        image = connection.images({container: arn}).get(container)
        if not image:
            raise PipelineError("the task definition names no image", where=arn)
        found.setdefault(image, who)
    return found


def _records(bucket: Bucket) -> list[ReleaseRecord]:
    """All of them, oldest first; those that never became current, too."""
    releases = []
    for key in sorted(bucket.listing(RELEASES_PREFIX)):
        name = key.removeprefix(RELEASES_PREFIX).removesuffix(".json")
        if record.is_id(name):
            releases.append(name)
        elif key.endswith(".json") and key != POINTER_KEY:
            raise PipelineError("this is no release record", where=f"s3://{bucket.name}/{key}", mend="Move it away.")
    with ThreadPoolExecutor(PARALLEL) as threads:
        return list(threads.map(partial(situation.read_record, bucket), releases))
