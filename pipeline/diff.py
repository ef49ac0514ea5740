"""`pipeline diff`: the dossier of a release.

It knows both sides: `release` compares, and `images` reads what the containers declare of their tasks.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from pipeline import aws
from pipeline.git import Git
from pipeline.images.containers import Container, discover
from pipeline.names import LONGEST_SUMMARY
from pipeline.release import deploy, dossier_page, evidence, options, output, storage
from pipeline.release.commits import from_codecommit, from_git
from pipeline.release.connection import Voice, connect, gathering, origin_of
from pipeline.release.dossier_headline import summary
from pipeline.release.inquiry import Reading, inquire
from pipeline.release.stacks import TaskSettings
from pipeline.release.tree import Tree
from pipeline.settings import load


@click.command()
@options.environment
@options.json
@options.commit
@options.reports
@click.option(
    "--html", type=options.FILE, help="Write the dossier into this file, as one page that needs nothing else."
)
@click.option("--json-file", type=options.FILE, help="Write it into this file for machines.")
@click.option("--store", help="Keep both below s3://BUCKET/PREFIX as well, for the link.")
@click.option("--link-file", type=options.FILE, help="Write the link to the stored page into this file.")
@click.option(
    "--summary-file",
    type=options.FILE,
    help=f"Write it as one line of at most {LONGEST_SUMMARY} characters into this file.",
)
def diff(
    *,
    environment: str,
    as_json: bool,
    commit: str | None,
    reports: Path,
    html: Path | None,
    json_file: Path | None,
    store: str | None,
    link_file: Path | None,
    summary_file: Path | None,
) -> None:
    """Show what releasing this working tree to ENVIRONMENT would change: the dossier of a release."""
    say = Voice(as_json)
    output.check(html, json_file, link_file, summary_file)
    settings = load(Path.cwd())
    origin = origin_of(commit, None)
    own = aws.session(settings.region)
    with gathering() as tree:
        found = inquire(
            environment,
            origin,
            read=lambda: _read(environment, tree.result),
            tree=tree.result,
            sources=lambda: [from_git(Git(Path.cwd())), from_codecommit(own, settings.repository)],
            left=reports,
            replacement=settings.environment(environment).worker_replacement,
            # A build's files are as new as the build; what was left beside them is of the same execution.
            changed=evidence.last_change(Path.cwd()) if commit is None else None,
        )
    for line in dossier_page.text(found):
        say.line(line)
    if found.images is None and commit is None:
        say.line("the pipeline's own dossier has what is not known here: `pipeline status` shows the link")
    page, document = dossier_page.page(found), found.document()
    output.write(html, page)
    output.write(json_file, json.dumps(document, indent=2))
    output.write(summary_file, f"{summary(found)}\n")
    if store is not None:
        storage.keep(own, store, f"{environment}.json", json.dumps(document, indent=2).encode())
        link = storage.keep(own, store, f"{environment}.html", page.encode())
        say.line(f"kept at {link}")
        output.write(link_file, f"{link}\n")
    say.end(document)


def _read(environment: str, tree: Callable[[], Tree]) -> Reading:
    connection = connect(environment, verify=True, reads_only=True)
    deployment, to = connection.deployment, connection.environment
    prepared = deploy.prepare(connection.bucket, tree, deployment, to.keep)
    assert to.airflow is not None  # noqa: S101 - verify=True
    current = prepared.situation.current
    # Where something runs, its own revisions: a rollback runs others than those that are deployed.
    running = {name: task.task_definition for name, task in current.tasks.items()} if current else None
    stacks = connection.stacks(deployment.task_definitions if running is None else running, _declared)
    return Reading(prepared, connection.bucket, to.airflow, stacks)


def _declared() -> Mapping[str, TaskSettings]:
    """The tasks that the project's containers declare. Raises UsageError."""
    found = discover(Path.cwd() / "containers")
    return {container.name: settings_of(container) for container in found if container.task}


def settings_of(container: Container) -> TaskSettings:
    """What a container declares of its task, in the words of the comparison."""
    return TaskSettings(
        cpu=str(container.cpu),
        memory=str(container.memory),
        architecture=container.architecture,
        environment=container.environment,
        secrets=container.secrets,
    )
