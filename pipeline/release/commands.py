"""`pipeline sync | releases | rollback | diff`."""

import getpass
import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline import console
from pipeline.errors import UsageError
from pipeline.git import Git
from pipeline.release import deploy, dossier, lock, show, situation
from pipeline.release.airflow import MwaaAirflow
from pipeline.release.deploy import Origin
from pipeline.release.environment import Deployment, find, images, release_session
from pipeline.release.execution import Environment
from pipeline.release.mwaa import MwaaEnvironment
from pipeline.release.record import ReleaseRecord
from pipeline.release.s3 import S3Bucket
from pipeline.release.tree import Tree, gather
from pipeline.settings import load

_environment = click.argument("environment")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
_dry_run = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
_no_verify = click.option(
    "--no-verify", is_flag=True, help="Do not ask the running Airflow; the release is recorded as not verified."
)
_release_file = click.option(
    "--release-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the id of the release that runs at the end into this file.",
)
_commit = click.option(
    "--commit", envvar="CODEBUILD_RESOLVED_SOURCE_VERSION", help="The commit of the files; else git's HEAD."
)
_by = click.option("--by", envvar="CODEBUILD_BUILD_ID", help="Who releases; else user@machine.")
_lock_seconds = click.option(
    "--lock-seconds",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="After so long without a sign of life of this command, others may take its lock over.",
)


@dataclass(frozen=True)
class _Connection:
    deployment: Deployment
    environment: Environment
    bucket: S3Bucket
    images: deploy.FindImages


@contextmanager
def _gathering() -> Iterator["Future[Tree]"]:
    """Read the working tree while AWS is being asked: neither waits for the other."""
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(gather, Path.cwd() / "dags")


def _connect(name: str, *, verify: bool) -> _Connection:
    settings = load(Path.cwd())
    options = settings.environment(name)
    session, account = release_session(settings, name)
    deployment = find(session, settings, name, account)
    bucket = S3Bucket(session, deployment.bucket)
    environment = Environment(
        bucket=bucket,
        mwaa=MwaaEnvironment(session, deployment.airflow_environment),
        airflow=MwaaAirflow(session, deployment.airflow_environment) if verify else None,
        replacement=options.worker_replacement,
        keep=options.keep,
    )
    return _Connection(deployment, environment, bucket, partial(images, session))


def _origin(commit: str | None, by: str | None, lock_seconds: int = 300) -> Origin:
    who = by or f"{getpass.getuser()}@{socket.gethostname()}"
    if commit:
        return Origin(commit=commit, by=who, lock_seconds=lock_seconds)
    git = Git(Path.cwd())
    head = git.commit_of("HEAD")
    if head is None:
        raise UsageError(
            "this folder is no git repository with a commit, so the release could not say what it is",
            mend="Give the commit with --commit.",
        )
    changed = any(path.strip('"').startswith("dags/") for path in git.changed_files())
    return Origin(commit=head, by=who, uncommitted=changed, lock_seconds=lock_seconds)


@click.command()
@_environment
@_dry_run
@_json
@_no_verify
@_commit
@_by
@_release_file
@_lock_seconds
def sync(
    *,
    environment: str,
    dry_run: bool,
    as_json: bool,
    no_verify: bool,
    commit: str | None,
    by: str | None,
    release_file: Path | None,
    lock_seconds: int,
) -> None:
    """Publish the DAGs of this working tree to ENVIRONMENT, verify them in Airflow, record the release."""
    say = _Voice(as_json)
    origin = _origin(commit, by, lock_seconds)
    with _gathering() as tree:
        connection = _connect(environment, verify=not no_verify)
        prepared = deploy.prepare(connection.bucket, tree.result, connection.deployment, connection.environment.keep)
    for line in show.plan_lines(prepared.plan, connection.environment.replacement):
        say.line(line)
    if dry_run:
        say.end({"plan": show.plan_document(prepared.plan), "dry_run": True}, "dry run: nothing was changed")
        return
    before = prepared.situation.current
    release = deploy.sync(
        connection.environment,
        prepared,
        deployment=connection.deployment,
        origin=origin,
        find_images=connection.images,
        tell=say.line,
    )
    changed = before is None or release.id != before.id
    document = {"plan": show.plan_document(prepared.plan), "requests": connection.bucket.requests}
    if not changed:
        say.line(f"nothing to release: {environment} already runs this, as {release.id} (commit {release.commit[:10]})")
    _finish(say, release, document | {"changed": changed}, release_file)


@click.command()
@_environment
@click.option("--to", "target", help="The release to restore; by default the one before the current one.")
@_dry_run
@_json
@_no_verify
@_by
@_release_file
@_lock_seconds
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
    say = _Voice(as_json)
    connection = _connect(environment, verify=not no_verify)
    now, to, plan = deploy.prepare_rollback(connection.bucket, target, connection.environment.keep)
    say.line(f"back to {to.id} (commit {to.commit[:10]})")
    for line in show.plan_lines(plan, connection.environment.replacement):
        say.line(line)
    if dry_run:
        say.end({"plan": show.plan_document(plan), "dry_run": True}, "dry run: nothing was changed")
        return
    origin = Origin(commit=to.commit, by=by or f"{getpass.getuser()}@{socket.gethostname()}", lock_seconds=lock_seconds)
    release = deploy.roll_back(connection.environment, now, to, decided=plan, origin=origin, tell=say.line)
    changed = now.current is None or release.id != now.current.id
    if not changed:
        say.line(f"nothing to roll back: {environment} holds exactly what {to.id} held")
    _finish(say, release, {"plan": show.plan_document(plan), "changed": changed}, release_file)


@click.command()
@_environment
@_json
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
def releases(environment: str, as_json: bool, limit: int) -> None:
    """List the releases of ENVIRONMENT, newest first."""
    say = _Voice(as_json)
    bucket = _connect(environment, verify=False).bucket
    current = lock.read(bucket).pointer.release
    found = situation.history(bucket, limit)
    for line in show.history_lines(found, current):
        say.line(line)
    if not found:
        say.line(f"nothing was released to {environment} yet")
    say.end(show.history_document(found, current))


@click.command()
@_environment
@_json
@_commit
def diff(environment: str, as_json: bool, commit: str | None) -> None:
    """Show what releasing this working tree to ENVIRONMENT would change."""
    say = _Voice(as_json)
    origin = _origin(commit, None)
    with _gathering() as tree:
        connection = _connect(environment, verify=False)
        prepared = deploy.prepare(connection.bucket, tree.result, connection.deployment, connection.environment.keep)
    found = dossier.compare(prepared.plan, prepared.tree.files, prepared.situation.current, origin.commit)
    for line in dossier.text(found):
        say.line(line)
    say.end(found.document())


class _Voice:
    """Lines for people on standard output; with `--json` only the document goes there, at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def line(self, text: str) -> None:
        (console.err if self._as_json else console.out).print(text, markup=False)

    def end(self, document: Any, text: str = "") -> None:
        if self._as_json:
            click.echo(json.dumps(document, indent=2, default=str))
        elif text:
            self.line(text)


def _finish(say: _Voice, release: ReleaseRecord, document: dict[str, Any], release_file: Path | None) -> None:
    if release_file is not None:
        release_file.write_text(f"{release.id}\n", encoding="utf-8")
    summary = {"release": release.id, "commit": release.commit, "verified": release.verified}
    say.end(document | summary, f"RELEASE {release.id}")
