"""Pythons by their version, and uv: what it takes to install an Airflow as MWAA does, and to run a build as written."""

import shutil
import sys
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.process import run

DOWNLOAD_SECONDS = 180.0  # for a Python, 30 MB
LOOK_SECONDS = 30.0  # for uv to ask the Pythons of this machine, which takes it less than one
# uv waits longer before each further try; without a network a run would stand still for ten seconds.
_ONE_TRY = {"UV_HTTP_RETRIES": "0"}
# pyenv, asdf and mise put a program for every Python they know on PATH, which fails for all that are not chosen here.
_BESIDE_SHIMS = ("versions/{version}.*/bin/python{version}", "installs/python/{version}.*/bin/python{version}")


def mwaa_python(version: str) -> str:
    """The Python on which MWAA runs an Airflow version: 3.12 since 2.11 (amazon-mwaa-docker-images)."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return "3.12" if (major, minor) >= (2, 11) else "3.11"


def find_uv() -> str:
    """uv, installed beside this command or anywhere on PATH.

    Raises:
        PipelineError: It is nowhere.
    """
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if not found:
        raise PipelineError(
            "uv is not installed; it makes the environment in which Airflow runs",
            mend=f"{sys.executable} -m pip install uv",
        )
    return found


def airflow_python(version: str) -> str:
    """The Python that MWAA uses for an Airflow version where it can be had, else the one that runs us."""
    return find_python(mwaa_python(version)) or sys.executable


def find_python(version: str) -> str | None:
    """The program of a Python such as 3.12, in no virtual environment; None where there is none and none can be had.

    The one that is installed, else uv downloads it, unless UV_PYTHON_DOWNLOADS forbids it.

    Raises:
        PipelineError: uv is nowhere.
    """
    if found := installed_python(version):
        return found
    uv = find_uv()
    try:
        run([uv, "python", "install", "--quiet", "--no-bin", version], env=_ONE_TRY, timeout=DOWNLOAD_SECONDS)
    except PipelineError:
        return None
    return _found_by(uv, version)


def installed_python(version: str) -> str | None:
    """The same on PATH or among uv's own, or one that pyenv, asdf or mise keeps and that is not chosen here.

    Raises:
        PipelineError: uv is nowhere.
    """
    return _found_by(find_uv(), version) or _beside_shims(version)


def _found_by(uv: str, version: str) -> str | None:
    try:
        found = run([uv, "python", "find", "--no-project", "--no-python-downloads", version], timeout=LOOK_SECONDS)
    except PipelineError:  # also a Python on PATH that does not answer
        return None
    return str(Path(found.strip()).resolve())  # a virtual environment would go away some day


def _beside_shims(version: str) -> str | None:
    shim = shutil.which(f"python{version}")
    if shim is None or Path(shim).parent.name != "shims":
        return None
    root = Path(shim).parent.parent
    found = [path for pattern in _BESIDE_SHIMS for path in root.glob(pattern.format(version=version))]
    return str(max(found, key=_patch).resolve()) if found else None


def _patch(python: Path) -> int:
    """The last number of the version that names an installation's folder; 0 where it ends otherwise, as in 3.12-dev."""
    return int(last) if (last := python.parts[-3].rpartition(".")[2]).isdigit() else 0
