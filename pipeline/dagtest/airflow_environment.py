"""An Airflow to test DAGs with: an environment of its own, made with uv, kept by what is in it.

What MWAA's image holds is a lock file in `locks/`, a version each. The project's own requirements.txt is installed
over it with the lock as constraints, as MWAA does.
"""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.console import step
from pipeline.errors import PipelineError, UsageError
from pipeline.process import CommandError, run

LOCKS = Path(__file__).with_name("locks")
FOLDER = ".airflow"
FORMAT = "1"  # of what is installed; a change makes every environment anew
COMPLETE = "complete"
DOWNLOADS = 600.0  # seconds that an installation may take


@dataclass(frozen=True)
class AirflowEnvironment:
    """An environment in which Airflow is installed."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    def variables(self, dag_folder: Path) -> Mapping[str, str]:
        """What a process in it needs: a home of its own, MWAA's settings, and no bytecode beside the DAGs."""
        return {
            "AIRFLOW_HOME": str(self.folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dag_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # By default Airflow shows the two innermost calls of an error, which need not be in the DAG.
            "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "1000",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            "PYTHONDONTWRITEBYTECODE": "",  # set by some shells and images; it would cost seconds in every run
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }


def ensure(project: Path, version: str) -> AirflowEnvironment:
    """The environment for an Airflow version and the project's requirements, made now if there is none.

    Raises:
        UsageError: There is no lock for the version.
        PipelineError: uv is missing, or the installation fails; says why.
    """
    lock = LOCKS / f"airflow-{version}.txt"
    if not lock.is_file():
        known = ", ".join(sorted(path.stem.removeprefix("airflow-") for path in LOCKS.glob("airflow-*.txt")))
        raise UsageError(
            f"there is no lock for Airflow {version}; there are locks for: {known}",
            where="cdk.json: context.pipeline.airflow.version",
            mend=f"Make {lock.name} in {LOCKS} as the .in file beside it says.",
        )
    uv = find_uv()
    python = _python(uv, version)
    requirements = project / "dags" / "requirements.txt"
    key = fingerprint(lock.read_bytes(), requirements.read_bytes() if requirements.is_file() else b"", python)
    environment = AirflowEnvironment(project / FOLDER / key)
    with _alone(project / FOLDER, key):
        if not (environment.folder / COMPLETE).is_file():
            _create(environment, uv, python, lock, requirements)
    return environment


def fingerprint(lock: bytes, requirements: bytes, python: str) -> str:
    """A name for an environment: the same for the same content, 16 hexadecimal digits."""
    parts = (FORMAT.encode(), lock, requirements, python.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()[:16]


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


def has_requirements(text: str) -> bool:
    """Whether a requirements.txt asks for anything."""
    return any(line.strip() and not line.strip().startswith("#") for line in text.splitlines())


def _python(uv: str, version: str) -> str:
    """The Python that MWAA uses where this machine has it, else the one that runs us."""
    wanted = mwaa_python(version)
    try:
        return run([uv, "python", "find", "--no-project", "--no-python-downloads", wanted]).strip()
    except CommandError:
        return sys.executable


@contextmanager
def _alone(folder: Path, key: str) -> Iterator[None]:
    """One process at a time makes an environment; the others wait for it."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(environment: AirflowEnvironment, uv: str, python: str, lock: Path, requirements: Path) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(environment.python)]
    with step(f"install Airflow ({lock.stem}) for the tests of DAGs"):
        run([uv, "venv", "--quiet", "--no-project", "--python", python, str(environment.folder)])
        run([*install, "--require-hashes", "--requirement", str(lock)], timeout=DOWNLOADS)
    if requirements.is_file() and has_requirements(requirements.read_text(encoding="utf-8", errors="replace")):
        with step("install dags/requirements.txt as MWAA does"):
            try:
                run([*install, "--requirement", str(requirements), "--constraint", str(lock)], timeout=DOWNLOADS)
            except CommandError as error:
                raise PipelineError(
                    f"its packages cannot be installed over those of MWAA's {lock.stem}:\n{error.output.strip()}",
                    where=str(requirements),
                    mend="Change the versions it asks for; MWAA would come up without these packages.",
                ) from None
    (environment.folder / COMPLETE).touch()
