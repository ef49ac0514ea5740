"""`pipeline doctor`: what is missing on this machine, and the command that mends it."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.markup import escape

from pipeline import settings
from pipeline.console import out
from pipeline.errors import EXIT_FAILED, PipelineError, UsageError
from pipeline.local import FOLDER, PORT
from pipeline.localaws.instance import Instance
from pipeline.localaws.machine import packages
from pipeline.localaws.machine.engine import engine_answers
from pipeline.process import run
from pipeline.pythons import installed_python, mwaa_python

PYTHON = (3, 11)  # what MWAA's oldest supported Airflow runs on, and the code here is written for
NODE = 20  # the oldest that the CDK CLI still runs on
FREE_GB = 8  # an Airflow, four images with their layers, and the caches of packages, measured at 5 GB


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        good: Whether it is as it must be.
        found: What is there.
        mend: The command or deed that mends it; "" where nothing is to be mended.
    """

    subject: str
    good: bool
    found: str
    mend: str = ""


def at_least(subject: str, found: str | None, wanted: tuple[int, ...], mend: str) -> Finding:
    """A finding about a program's version, as the program prints it; None where it is not installed.

    | found      | wanted | good |
    | ---------- | ------ | ---- |
    | `v20.20.2` | 20     | yes  |
    | `3.9.2`    | 3.11   | no   |
    | None       | any    | no   |
    """
    if found is None:
        return Finding(subject, good=False, found="not installed", mend=mend)
    numbers = tuple(int(part) for part in found.strip().lstrip("v").split(".") if part.isdigit())
    good = numbers >= wanted
    return Finding(subject, good=good, found=found.strip(), mend="" if good else mend)


def pinned_cdk(installed: str | None, pinned: str) -> Finding:
    """A finding about the CDK CLI in node_modules: exactly the pinned one reads the assembly that synth writes."""
    good = installed == pinned
    found = installed or "not installed"
    return Finding("CDK CLI", good=good, found=found, mend="" if good else f"npm ci   (package.json pins {pinned})")


@click.command()
@click.option("--port", type=int, default=PORT, show_default=True, envvar="PIPELINE_LOCAL_PORT")
@click.option("--install", is_flag=True, help="Install the Debian packages that are missing, and look at nothing else.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(port: int, *, install: bool, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    if install:
        runs = engine_answers(os.environ.get("DOCKER_HOST", ""))
        packages.install(packages.missing_here(engine_runs=runs), out.print)
        return
    findings = list(_look(Path.cwd(), port))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            sign = "[good]✓[/]" if finding.good else "[bad]✗[/]"
            out.print(f"{sign} {finding.subject}: {escape(finding.found)}")
            if finding.mend:
                out.print(f"    {escape(finding.mend)}")
    if not all(finding.good for finding in findings):
        sys.exit(EXIT_FAILED)


def _look(folder: Path, port: int) -> Iterator[Finding]:
    yield at_least("Python", sys.version.split()[0], PYTHON, "apt-get install --yes python3 python3-venv")
    yield at_least("Node.js", _printed("node", "--version"), (NODE,), "Install Node.js 20 or newer.")
    yield _cdk(folder)
    yield from _settings(folder)
    yield from _engine_and_packages()
    yield _port(folder, port)
    free = shutil.disk_usage(folder).free // 10**9
    room = "" if free >= FREE_GB else "Make room; `docker system prune` and `pipeline local down` may help."
    yield Finding("Disk", good=not room, found=f"{free} GB free, {FREE_GB} GB are needed", mend=room)


def _printed(*command: str) -> str | None:
    try:
        return run(command)
    except PipelineError:
        return None


def _cdk(folder: Path) -> Finding:
    try:
        pinned = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]["aws-cdk"]
    except (OSError, ValueError, KeyError):
        return Finding("CDK CLI", good=False, found="package.json pins none", mend="Run this in the project's folder.")
    try:
        path = folder / "node_modules/aws-cdk/package.json"
        installed = str(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        installed = None
    return pinned_cdk(installed, pinned)


def _settings(folder: Path) -> Iterator[Finding]:
    try:
        known = settings.load(folder)
    except UsageError as error:
        yield Finding(settings.SETTINGS_FILE, good=False, found=error.what, mend=error.mend)
        return
    yield Finding(settings.SETTINGS_FILE, good=True, found=f"{known.name}: {', '.join(known.environments)}")
    yield _mwaa_python(known.airflow.version)


def _mwaa_python(airflow: str) -> Finding:
    """Good in any case: without it, DAGs are tested on the Python that runs us, and the output says so."""
    version = mwaa_python(airflow)
    found = installed_python(version)
    if found:
        return Finding("MWAA's Python", good=True, found=f"{version} for Airflow {airflow}: {found}")
    ours = ".".join(map(str, sys.version_info[:2]))
    mend = f"uv python install {version} && rm -rf .airflow   (tests of DAGs try the download, too)"
    return Finding("MWAA's Python", good=True, found=f"{version} is not here; DAGs are tested on {ours}", mend=mend)


def _engine_and_packages() -> Iterator[Finding]:
    runs = engine_answers(os.environ.get("DOCKER_HOST", ""))
    root = os.geteuid() == 0
    if runs or root:
        yield Finding("Docker", good=True, found="an engine runs" if runs else "the local AWS starts its own, as root")
    else:
        yield Finding("Docker", good=False, found="no engine runs", mend="Start Docker, or work as root.")
    missing: Sequence[packages.Package] = packages.missing_here(engine_runs=runs)
    if not missing:
        yield Finding("Packages", good=True, found="all there")
        return
    listing = ", ".join(f"{package.name} (for {package.purpose})" for package in missing)
    yield Finding(
        "Packages", good=False, found=f"missing: {listing}", mend=f"sudo {' '.join(packages.command(missing))}"
    )


def _port(folder: Path, port: int) -> Finding:
    subject = f"Port {port}"
    ours = Instance(folder / FOLDER).running()
    if ours is not None:
        return Finding(subject, good=True, found=f"the local AWS of this project answers at {ours.endpoint}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            mend = "PIPELINE_LOCAL_PORT=PORT make run   (any free port)"
            return Finding(subject, good=False, found="another program listens there", mend=mend)
    return Finding(subject, good=True, found="free")
