"""The folder of a build, made in a fraction of a second: HOME, a Python with pip, a place for npm's global packages."""

import shutil
import threading
from pathlib import Path
from typing import Final

from pipeline.errors import PipelineError
from pipeline.localaws.codebuild.environment import Host, Places, user_configuration
from pipeline.process import run

_PIP: Final = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
_TEMPLATE_SECONDS: Final = 120.0


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
        self._packages: Path | None = None

    def places(self, build: str) -> Places:
        """The folders of a build. Sockets lie below TMPDIR, and their paths end at 108 bytes: this one is short."""
        return Places(self.folder / "builds" / build[:8], self.folder / "package-cache")

    def create(self, build: str) -> Places:
        """Make the folders of a build.

        Raises:
            PipelineError: The host cannot make a Python environment.
        """
        places = self.places(build)
        shutil.rmtree(places.root, ignore_errors=True)
        for folder in (places.home, places.npm, places.programs, places.temporary, places.sources, places.control):
            folder.mkdir(parents=True)
        self._python(places.python)
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

    def prepare(self) -> Path:
        """The packages of a fresh Python environment with pip, made at the first call.

        Raises:
            PipelineError: Neither venv nor uv can make one.
        """
        with self._lock:
            if self._packages is None:
                template = self.folder / "python"
                if not _packages(template):
                    self._make_template(template)
                self._packages = _packages(template)
            if self._packages is None:
                raise PipelineError("a Python environment without pip was made", where=str(template))
            return self._packages

    def _make_template(self, template: Path) -> None:
        shutil.rmtree(template, ignore_errors=True)
        new = template.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        python = str(self.host.python)
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

    def _python(self, folder: Path) -> None:
        packages = self.prepare()
        run([str(self.host.python), "-m", "venv", "--without-pip", str(folder)], timeout=_TEMPLATE_SECONDS)
        own = folder / "lib" / packages.parent.name / packages.name
        (own / "pip-of-the-template.pth").write_text(f"{packages}\n", encoding="utf-8")
        for name in ("pip", "pip3"):
            script = folder / "bin" / name
            script.write_text(_PIP, encoding="utf-8")
            script.chmod(0o755)


def _packages(environment: Path) -> Path | None:
    return next((path for path in environment.glob("lib/python*/site-packages") if (path / "pip").is_dir()), None)
