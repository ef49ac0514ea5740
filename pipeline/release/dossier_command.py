"""`pipeline diff`."""

import json
from collections.abc import Callable
from pathlib import Path

import click

from pipeline import aws
from pipeline.git import Git
from pipeline.names import LONGEST_SUMMARY
from pipeline.release import deploy, dossier_page, options, output, storage
from pipeline.release.airflow import Airflow
from pipeline.release.commits import from_codecommit, from_git
from pipeline.release.connection import Voice, connect, gathering, origin_of
from pipeline.release.deploy import Prepared
from pipeline.release.dossier_headline import summary
from pipeline.release.inquiry import inquire
from pipeline.release.s3 import S3Bucket
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


def _read(environment: str, tree: Callable[[], Tree]) -> tuple[Prepared, S3Bucket, Airflow]:
    connection = connect(environment, verify=True, reads_only=True)
    deployment, to = connection.deployment, connection.environment
    prepared = deploy.prepare(connection.bucket, tree, deployment, to.keep)
    assert to.airflow is not None  # noqa: S101 - verify=True
    return prepared, connection.bucket, to.airflow
