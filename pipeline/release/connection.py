"""What every release command begins with: the environment, who releases what, and a voice to tell it with."""

import getpass
import json
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
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
from pipeline.release import deploy, patience, stack_settings
from pipeline.release.airflow import MwaaAirflow
from pipeline.release.deploy import Origin
from pipeline.release.environment import Deployment, environment_session, find, images, refuse_deregistered
from pipeline.release.mwaa import MwaaEnvironment
from pipeline.release.order import Environment
from pipeline.release.plain import plain
from pipeline.release.s3 import S3Bucket
from pipeline.release.shipped import is_released
from pipeline.release.stack_settings import Declared
from pipeline.release.stacks import Stacks
from pipeline.release.tree import DAGS_PREFIX, Tree, gather
from pipeline.settings import load


@dataclass(frozen=True)
class Connection:
    """An environment as its stacks and settings describe it, and the way to its bucket."""

    deployment: Deployment
    environment: Environment
    bucket: S3Bucket
    images: deploy.FindImages
    refuse_deregistered: Callable[[Collection[str]], None]
    stacks: Callable[
        [Mapping[str, str], Declared], Stacks
    ]  # what this commit's stacks would change; see `stack_settings.compare`


@contextmanager
def gathering() -> Iterator["Future[Tree]"]:
    """Read the working tree while AWS is being asked: neither waits for the other."""
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(gather, Path.cwd() / "dags")


def connect(name: str, *, verify: bool, reads_only: bool = False) -> Connection:
    """Connect to an environment of the project in this folder.

    Raises:
        UsageError: The settings are wrong, or know no such environment.
        PipelineError: It is not deployed, or may not be released to.
    """
    settings = load(Path.cwd())
    options = settings.environment(name)
    session, account = environment_session(settings, name, reads_only=reads_only)
    deployment = find(session, settings, name, account)
    bucket = S3Bucket(session, deployment.bucket)
    environment = Environment(
        bucket=bucket,
        mwaa=MwaaEnvironment(session, deployment.airflow_environment),
        airflow=MwaaAirflow(session, deployment.airflow_environment) if verify else None,
        replacement=options.worker_replacement,
        keep=options.keep,
        patience=patience.of(options.airflow_options),
        canary=options.canary,
        wait_for_runs=options.wait_for_runs,
    )
    return Connection(
        deployment,
        environment,
        bucket,
        partial(images, session),
        partial(refuse_deregistered, session),
        partial(stack_settings.compare, session, settings, deployment),
    )


def origin_of(commit: str | None, by: str | None, lock_seconds: int = 300) -> Origin:
    """What is released and by whom: as given, else from git, the user and the machine.

    Raises:
        UsageError: There is no commit to name.
    """
    who = by or person()
    if commit:
        return Origin(commit=commit, by=who, lock_seconds=lock_seconds)
    git = Git(Path.cwd())
    head = git.commit_of("HEAD")
    if head is None:
        raise UsageError(
            "this folder is no git repository with a commit, so the release could not say what it is",
            mend="Give the commit with --commit.",
        )
    # What git ignores is released as well, and is in no commit.
    changed = git.changed_files(DAGS_PREFIX, ignored=True)
    uncommitted = any(is_released(path.removeprefix(DAGS_PREFIX)) for path in changed)
    return Origin(commit=head, by=who, uncommitted=uncommitted, lock_seconds=lock_seconds)


def person(user_name: Callable[[], str] = getpass.getuser) -> str:
    """Who this is, for people: `ann@laptop`. A container's user often has no name."""
    try:
        user = user_name()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


class Voice:
    """Lines for people on standard output; with `--json` only the document goes there, at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def line(self, text: str) -> None:
        """A line for people."""
        (console.err if self._as_json else console.out).print(plain(text), markup=False)

    def end(self, document: Any, text: str = "") -> None:
        """The document for machines, or a last line for people."""
        if self._as_json:
            click.echo(json.dumps(document, indent=2, default=str))
        elif text:
            self.line(text)
