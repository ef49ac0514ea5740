"""What it takes to install an Airflow as MWAA does: uv and a Python. For the tests of DAGs and for the local MWAA."""

import shutil
import sys
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.process import CommandError, run


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


def find_python(version: str) -> str:
    """The Python that MWAA uses for an Airflow version where this machine has it, else the one that runs us."""
    wanted = mwaa_python(version)
    try:
        return run([find_uv(), "python", "find", "--no-project", "--no-python-downloads", wanted]).strip()
    except CommandError:
        return sys.executable
