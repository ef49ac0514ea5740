"""The Debian packages the local AWS needs, and installing those that are missing."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import PipelineError
from pipeline.process import CommandError, run

APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


@dataclass(frozen=True)
class Package:
    """A package, the program by which we know that it is there, and what we need it for."""

    name: str
    program: str
    purpose: str
    for_own_engine: bool = False  # not needed where a Docker engine runs already


NEEDED: Final = (
    Package("git", "git", "CodeCommit"),
    Package("docker-registry", "docker-registry", "ECR"),
    Package("mmdebstrap", "mmdebstrap", "stand-ins for base images that cannot be pulled"),
    Package("docker.io", "dockerd", "a Docker engine", for_own_engine=True),
    Package("iproute2", "ip", "the network of containers", for_own_engine=True),
    Package("iptables", "iptables", "the network of containers", for_own_engine=True),
)
# A kernel with AppArmor loads a profile for each container, or starts none.
APPARMOR_PACKAGE: Final = Package("apparmor", "apparmor_parser", "profiles of containers", for_own_engine=True)


def missing(has: Callable[[str], bool], *, engine_runs: bool, apparmor: bool) -> list[Package]:
    """The packages to install.

    Args:
        has: Whether a program is installed.
        engine_runs: A Docker engine answers already, so that we need none of our own.
        apparmor: The kernel uses AppArmor.
    """
    needed = [*NEEDED, *([APPARMOR_PACKAGE] if apparmor else [])]
    return [each for each in needed if not has(each.program) and not (each.for_own_engine and engine_runs)]


def missing_here(*, engine_runs: bool) -> list[Package]:
    """The packages to install on this machine."""
    apparmor = APPARMOR.exists() and APPARMOR.read_text(encoding="ascii").strip() == "Y"
    return missing(lambda program: shutil.which(program) is not None, engine_runs=engine_runs, apparmor=apparmor)


def command(packages: Sequence[Package]) -> list[str]:
    """The command that installs them."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *(package.name for package in packages)]


def install(packages: Sequence[Package], say: Callable[[str], None]) -> None:
    """Install packages with apt, and say so before.

    Raises:
        PipelineError: This is no Debian, or not root, or the packages cannot be had; names the command to give.
    """
    if not packages:
        return
    listing = ", ".join(f"{package.name} (for {package.purpose})" for package in packages)
    if shutil.which("apt-get") is None:
        raise PipelineError(
            f"these packages are missing, and this is no Debian: {listing}",
            mend="Install what provides " + ", ".join(package.program for package in packages) + ".",
        )
    update = "sudo apt-get update && " if not _known(packages) else ""
    mend = f"{update}sudo {' '.join(command(packages))}"
    if os.geteuid() != 0:
        raise PipelineError(f"these packages are missing, and only root can install them: {listing}", mend=mend)
    say(f"Installing Debian packages: {listing}")
    try:
        _install(packages)
    except CommandError as error:
        raise PipelineError(f"the packages could not be installed: {error}", mend=mend) from None


def _install(packages: Sequence[Package]) -> None:
    """Fetch the lists of packages only when they do not know one, or know a version that is gone."""
    if _known(packages):
        try:
            run(command(packages), env=_QUIET)
        except CommandError as error:
            if "404" not in error.output and "Failed to fetch" not in error.output:
                raise
        else:
            return
    run(["apt-get", "update"], env=_QUIET)
    run(command(packages), env=_QUIET)


def _known(packages: Sequence[Package]) -> bool:
    """Whether apt's lists offer every one of them."""
    try:
        return all("Candidate: " in _policy(each) and "Candidate: (none)" not in _policy(each) for each in packages)
    except CommandError:
        return False


def _policy(package: Package) -> str:
    return run(["apt-cache", "policy", package.name], env={"LC_ALL": "C"})
