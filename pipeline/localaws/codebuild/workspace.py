"""The folder of a build, made in a fraction of a second: HOME, a Python with pip, a place for npm's global packages."""

import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import PipelineError
from pipeline.localaws.codebuild.environment import Host, Places, user_configuration
from pipeline.process import run

_PIP: Final = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
_TEMPLATE_SECONDS: Final = 120.0
_VERSION: Final = re.compile(r"3\.\d+")  # as opposed to `latest`, which this host's own is


@dataclass(frozen=True)
class _Template:
    """A Python, and the site-packages of an environment made with it that has pip."""

    python: str
    packages: Path


class Workspaces:
    """Makes and removes the folders of builds below one folder.

    A Python environment with pip takes seconds to make. So one is made once, and every build's own environment, which
    is made without pip, looks there last. pip itself never changes or removes what lies outside of the environment it
    runs in: `pip install --upgrade pip` puts the new one into the build's own.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self._lock = threading.Lock()
        self._templates: dict[str, _Template] = {}  # by the version asked for

    def places(self, build: str) -> Places:
        """The folders of a build. Sockets lie below TMPDIR, and their paths end at 108 bytes: this one is short."""
        return Places(self.folder / "builds" / build[:8], self.folder / "package-cache")

    def create(self, build: str) -> Places:
        """Make the folders of a build, all but its Python environment."""
        places = self.places(build)
        shutil.rmtree(places.root, ignore_errors=True)
        for folder in (places.home, places.npm, places.programs, places.temporary, places.sources, places.control):
            folder.mkdir(parents=True)
        for name, source in user_configuration(self.host).items():
            copy = places.home / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        for program in self.host.programs:
            if program.exists():
                (places.programs / program.name).symlink_to(program.absolute())
        return places

    def remove(self, build: str) -> None:
        """Remove the folders of a build; read-only folders too, which some package managers leave."""
        root = self.places(build).root
        shutil.rmtree(root, ignore_errors=True)
        if root.exists():
            for folder in [root, *(entry for entry in root.rglob("*") if entry.is_dir() and not entry.is_symlink())]:
                folder.chmod(0o700)
            shutil.rmtree(root, ignore_errors=True)

    def make_python(self, places: Places, version: str) -> None:
        """Make the Python environment of a build.

        Args:
            places: The build's folders.
            version: What its buildspec asks for under `runtime-versions`; "" when it does not.

        Raises:
            PipelineError: The host cannot make one.
        """
        template = self.template(version)
        run([template.python, "-m", "venv", "--without-pip", str(places.python)], timeout=_TEMPLATE_SECONDS)
        packages = template.packages
        own = places.python / "lib" / packages.parent.name / packages.name
        (own / "pip-of-the-template.pth").write_text(f"{packages}\n", encoding="utf-8")
        for name in ("pip", "pip3"):
            script = places.python / "bin" / name
            script.write_text(_PIP, encoding="utf-8")
            script.chmod(0o755)

    def template(self, version: str) -> "_Template":
        """A fresh Python environment with pip, made at the first call for a version.

        Raises:
            PipelineError: Neither venv nor uv can make one.
        """
        with self._lock:
            if version not in self._templates:
                found = self.host.find_python(version) if _VERSION.fullmatch(version) else None
                python = found or str(self.host.python)
                folder = self.folder / (f"python-{version}" if found else "python")
                if not _packages(folder):
                    self._make_template(folder, python)
                packages = _packages(folder)
                if packages is None:
                    raise PipelineError("a Python environment without pip was made", where=str(folder))
                self._templates[version] = _Template(python, packages)
            return self._templates[version]

    def _make_template(self, template: Path, python: str) -> None:
        shutil.rmtree(template, ignore_errors=True)
        new = template.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        uv = shutil.which("uv", path=self.host.environment.get("PATH"))
        try:
            run([python, "-m", "venv", str(new)], timeout=_TEMPLATE_SECONDS)
        except PipelineError as error:  # Debian keeps ensurepip in a package of its own
            if uv is None:
                raise PipelineError(
                    f"builds need a Python environment with pip, and {error.what}",
                    where=python,
                    mend="Install the package python3-venv, or uv.",
                ) from None
            shutil.rmtree(new, ignore_errors=True)
            run([uv, "venv", "--quiet", "--seed", "--python", python, str(new)], timeout=_TEMPLATE_SECONDS)
        new.replace(template)


def _packages(environment: Path) -> Path | None:
    return next((path for path in environment.glob("lib/python*/site-packages") if (path / "pip").is_dir()), None)
