"""`pipeline sync | releases | rollback`."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.errors import UsageError
from pipeline.release import deploy, lock, options, output, record, show, situation
from pipeline.release.connection import Voice, connect, gathering, origin_of, person
from pipeline.release.deploy import Origin
from pipeline.release.evidence import read_structures
from pipeline.release.plan import Plan
from pipeline.release.record import ReleaseRecord

__all__ = ["releases", "rollback", "sync"]

_LISTED = 20  # releases, where nobody says how many: weeks of them, in as many requests


@click.command()
@options.environment
@options.dry_run
@options.json
@options.no_verify
@options.commit
@options.by
@options.release_file
@options.reports
@options.lock_seconds
def sync(
    *,
    environment: str,
    dry_run: bool,
    as_json: bool,
    no_verify: bool,
    commit: str | None,
    by: str | None,
    release_file: Path | None,
    reports: Path,
    lock_seconds: int,
) -> None:
    """Publish the DAGs of this working tree to ENVIRONMENT, verify them in Airflow, record the release."""
    say = Voice(as_json)
    _end_as_by_ctrl_c()
    if not dry_run:
        output.check(release_file)
    origin = replace(origin_of(commit, by, lock_seconds), structures=read_structures(reports))
    with gathering() as tree:
        connection = connect(environment, verify=not no_verify)
        prepared = deploy.prepare(connection.bucket, tree.result, connection.deployment, connection.environment.keep)
    for line in show.plan_lines(prepared.plan, connection.environment.replacement):
        say.line(line)
    if dry_run:
        say.end({"plan": show.plan_document(prepared.plan), "dry_run": True}, "dry run: nothing was changed")
        return
    plans = [prepared.plan]

    def replanned(plan: Plan) -> None:
        plans.append(plan)
        for line in show.plan_lines(plan, connection.environment.replacement):
            say.line(line)

    release = deploy.sync(
        connection.environment,
        prepared,
        deployment=connection.deployment,
        origin=origin,
        find_images=connection.images,
        tell=say.line,
        replanned=replanned,
    )
    changed = not plans[-1].is_empty
    document = {"plan": show.plan_document(plans[-1]), "requests": connection.bucket.requests}
    if not changed:
        say.line(f"nothing to release: {environment} already runs this, as {release.id} (commit {release.commit[:10]})")
    _finish(say, release, document | {"changed": changed}, release_file)


@click.command()
@options.environment
@click.option(
    "--to",
    "target",
    help="The release to restore; by default the one before the current one, or the current one after a sync that did "
    "not end.",
)
@options.dry_run
@options.json
@options.no_verify
@options.by
@options.release_file
@options.lock_seconds
def rollback(
    *,
    environment: str,
    target: str | None,
    dry_run: bool,
    as_json: bool,
    no_verify: bool,
    by: str | None,
    release_file: Path | None,
    lock_seconds: int,
) -> None:
    """Restore an earlier release of ENVIRONMENT from the bucket's own versions."""
    say = Voice(as_json)
    if target is not None and not record.is_id(target):
        raise UsageError(
            f"{target!r} is no release; expected an id like 20261107T101500Z-1a2b3c4-9f3e",
            where="--to",
            mend=f"`pipeline releases {environment}` lists them.",
        )
    _end_as_by_ctrl_c()
    if not dry_run:
        output.check(release_file)
    connection = connect(environment, verify=not no_verify)
    now, to, plan = deploy.prepare_rollback(connection.bucket, target, connection.environment.keep)
    connection.refuse_deregistered([row.after for row in plan.tasks if row.after is not None])
    say.line(f"back to {to.id} (commit {to.commit[:10]})")
    for line in show.plan_lines(plan, connection.environment.replacement):
        say.line(line)
    if dry_run:
        say.end({"plan": show.plan_document(plan), "dry_run": True}, "dry run: nothing was changed")
        return
    origin = Origin(commit=to.commit, by=by or person(), lock_seconds=lock_seconds)
    release = deploy.roll_back(connection.environment, now, to, decided=plan, origin=origin, tell=say.line)
    changed = now.current is None or release.id != now.current.id
    if not changed:
        say.line(f"nothing to roll back: {environment} holds exactly what {to.id} held")
    _finish(say, release, {"plan": show.plan_document(plan), "changed": changed}, release_file)


@click.command()
@options.environment
@options.json
@click.option("--limit", type=click.IntRange(min=1), default=_LISTED, show_default=True, help="How many, newest first.")
def releases(environment: str, as_json: bool, limit: int) -> None:
    """List the releases of ENVIRONMENT that were current, newest first."""
    say = Voice(as_json)
    bucket = connect(environment, verify=False, reads_only=True).bucket
    current = lock.read(bucket).pointer.release
    found = situation.history(bucket, current, limit)
    for line in show.history_lines(found, current):
        say.line(line)
    missing = found[-1].previous if found else current
    if missing is not None and len(found) < limit:
        say.line(f"the history ends here: the record of {missing} is gone")
    elif not found:
        say.line(f"nothing was released to {environment} yet")
    say.end(show.history_document(found, current))


def _end_as_by_ctrl_c() -> None:
    """Let the lock go, too, when a build is stopped or a container ends: both send SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _finish(say: Voice, release: ReleaseRecord, document: dict[str, Any], release_file: Path | None) -> None:
    summary = {"release": release.id, "commit": release.commit, "verified": release.verified}
    say.end(document | summary, f"RELEASE {release.id}")
    # After it is told: whatever becomes of the file, the release is made.
    output.write(release_file, f"{release.id}\n")
