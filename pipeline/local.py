"""`pipeline local …`: bring the local AWS up, then use it as one would use AWS.

The one module that knows both sides: `localaws`, which plays AWS, and `operate`, a client that could not tell.
"""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
from docker import DockerClient

from pipeline import aws, names, settings
from pipeline.console import out, step
from pipeline.errors import EXIT_FAILED, PipelineError
from pipeline.git import Git
from pipeline.localairflow.commands import airflow
from pipeline.localairflow.working_tree import WorkingTree
from pipeline.localaws.instance import Address, Instance
from pipeline.localaws.machine import packages
from pipeline.localaws.machine.base_images import BaseImages, dockerfiles
from pipeline.localaws.machine.engine import engine_answers
from pipeline.localaws.region import LocalRegion
from pipeline.operate.client import PipelineClient
from pipeline.operate.executions import Execution
from pipeline.operate.watch import Watcher, wait_for_execution
from pipeline.process import run
from pipeline.settings import Settings

FOLDER = Path(".local")
REMOTE = "local"
PORT = 4577
# A push raises its event before git's answer is complete; a busy machine may need some seconds to start the execution.
EXECUTION_SECONDS = 30.0
# One request to Docker: the longest is to import a base image.
ENGINE_SECONDS = 300

_port = click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, envvar="PIPELINE_LOCAL_PORT",
    help="The loopback port of the local AWS.",
)  # fmt: skip


@click.group()
def local() -> None:
    """AWS on this machine: the control plane is emulated, the work is real."""


local.add_command(airflow)


@local.command()
@_port
@click.option("--follow/--no-follow", default=True, help="Follow the commit through the pipeline.")
@click.option("--airflow-only", is_flag=True, help="No pipeline: an Airflow that follows the files as you edit them.")
def up(port: int, *, follow: bool, airflow_only: bool) -> None:
    """Start the local AWS, deploy the pipeline to it, and send it the current commit."""
    configured = settings.load(Path.cwd())
    instance = Instance(FOLDER)
    with instance.alone():
        engine_runs = engine_answers(os.environ.get("DOCKER_HOST", ""))
        packages.install(packages.missing_here(engine_runs=engine_runs), out.print)
        with step("local AWS"):
            address = instance.start(configured.region, port, {})
        region = address.in_folder(instance.folder)
        if airflow_only:
            tree = WorkingTree(region, configured, Path.cwd(), out.print)
            tree.up()
        else:
            with _pointing_at(region, address):
                _deploy(configured, region, address)
                execution = _send(configured, region)
    if airflow_only:
        tree.follow()
    elif follow:
        with _pointing_at(region, address):
            client = PipelineClient(aws.session(configured.region), names.code_pipeline(configured))
            last = Watcher(client).follow(execution)
        _summary(address, last)
        if last.ended and last.status != "Succeeded":
            sys.exit(EXIT_FAILED)


@local.command()
@click.option("--branch", help="The branch to move; by default the one the pipeline follows.")
def push(branch: str | None) -> None:
    """Push the current commit to the local CodeCommit and follow it."""
    configured = settings.load(Path.cwd())
    instance = Instance(FOLDER)
    address = instance.address()
    region = address.in_folder(instance.folder)
    with _pointing_at(region, address):
        execution = _send(configured, region, branch)
        client = PipelineClient(aws.session(configured.region), names.code_pipeline(configured))
        last = Watcher(client).follow(execution)
    if last.ended and last.status != "Succeeded":
        sys.exit(EXIT_FAILED)


@local.command()
def env() -> None:
    """Print the exports that point a shell at the local AWS, and let it find this project's commands."""
    instance = Instance(FOLDER)
    address = instance.address()
    for key, value in _variables(address.in_folder(instance.folder), address).items():
        click.echo(f"export {key}={value}")
    programs = [Path(sys.executable).parent, Path("node_modules/.bin").absolute()]
    click.echo(f'export PATH="{os.pathsep.join(map(str, programs))}{os.pathsep}$PATH"')


@local.command()
def down() -> None:
    """Stop the local AWS and everything it started."""
    instance = Instance(FOLDER)
    with instance.alone(), step("stopping"):
        known = instance.stop()
    out.print("The local AWS is down." if known else "The local AWS was not running.")


def _variables(region: LocalRegion, address: Address) -> dict[str, str]:
    return {**region.environment(), "DOCKER_HOST": address.docker_host}


@contextmanager
def _pointing_at(region: LocalRegion, address: Address) -> Iterator[None]:
    """What `eval "$(pipeline local env)"` does to a shell, for the commands we run here."""
    before = dict(os.environ)
    os.environ.update(_variables(region, address))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _deploy(configured: Settings, region: LocalRegion, address: Address) -> None:
    """Bootstrap and deploy with the real CDK CLI, while base images are made ready."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        images = pool.submit(_base_images, address)
        with step("cdk bootstrap"):
            # Away from cdk.json the CLI does not synthesise the app, which has no say in this.
            _cdk(region, region.folder, "bootstrap", f"aws://{region.account}/{region.region}")
        with step(f"cdk deploy {names.pipeline_stack(configured)}"):
            _cdk(region, Path.cwd(), "deploy", names.pipeline_stack(configured), "--require-approval=never")
        images.result()


def _base_images(address: Address) -> None:
    """Let the engine have every image that the Dockerfiles start from."""
    client = DockerClient(base_url=address.docker_host, timeout=ENGINE_SECONDS)
    try:
        for provided in BaseImages.of_this_machine(client, out.print).ensure(dockerfiles(Path.cwd())):
            if provided.note:
                out.print(f"[quiet]{provided.image}: {provided.note}[/]")
    finally:
        client.close()


def _cdk(region: LocalRegion, folder: Path, *arguments: str) -> None:
    """Run the project's CDK CLI in a folder, with this Python first on PATH for the app."""
    cli = Path("node_modules/.bin/cdk").absolute()
    if not cli.exists():
        raise PipelineError("the CDK CLI is not installed", where=str(cli), mend="npm ci")
    output = region.folder / "cdk.out"
    run(
        [str(cli), *arguments, "--no-notices", f"--output={output}"],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        },
    )


def _send(configured: Settings, region: LocalRegion, branch: str | None = None) -> str:
    """Push the current commit; the id of the execution that carries it."""
    git = Git(Path.cwd())
    commit = git.commit_of("HEAD")
    if commit is None:
        raise PipelineError("there is no commit yet", where=str(Path.cwd()), mend="git commit")
    changed = git.changed_files()
    if changed:
        out.print(f"[quiet]{len(changed)} uncommitted changes stay here: only commits travel ({changed[0]}, …)[/]")
    codecommit = region.client("codecommit")
    url = codecommit.get_repository(repositoryName=configured.repository)["repositoryMetadata"]["cloneUrlHttp"]
    git.set_remote(REMOTE, url)
    client = PipelineClient(aws.session(configured.region), names.code_pipeline(configured))
    known = client.latest(commit)
    with step(f"git push {REMOTE} {branch or configured.branch}"):
        git.push(REMOTE, "HEAD", branch or configured.branch)
    if known is None:
        return wait_for_execution(client, commit, EXECUTION_SECONDS, time.sleep)
    return known if client.execution(known).status in ("InProgress", "Succeeded") else client.start()


def _summary(address: Address, execution: Execution) -> None:
    out.print()
    for action in execution.actions:
        for key, value in action.variables.items():
            if key in ("IMAGES", "RELEASE"):
                out.print(f"  {action.stage:<16} {value}")
    out.print(f"""
The local AWS answers at {address.endpoint}. Next:

  eval "$(.venv/bin/pipeline local env)"   point this shell's aws, cdk and docker at it; `pipeline` too
  pipeline status                          where the commit is, and why it stopped there
  pipeline approve                         let the release manager's stage go on
  git push local main                      send your next commit
  pipeline local down                      stop it all
""")
