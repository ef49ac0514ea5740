"""An Airflow to test DAGs with: an environment of its own, made with uv, kept by what is in it.

What MWAA's image holds is a lock file in `locks/`, a version each. The project's own requirements.txt is installed
over it under constraints, as MWAA does. What the tests themselves need (pytest, ruff) is in a second environment over
the first, so that a DAG that imports it fails as it would on MWAA.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.console import step
from pipeline.dagtest.constraints import PLUGINS_ON_MWAA, below_dags, constraints_for, expanded, is_address, named
from pipeline.errors import PipelineError, UsageError
from pipeline.process import CommandError, run
from pipeline.pythons import airflow_python, find_uv, mwaa_python

LOCKS = Path(__file__).with_name("locks")
FOLDER = ".airflow"
FORMAT = "4"  # of what is installed; a change makes every environment anew
COMPLETE = "complete"
PACKAGES = (".whl", ".gz", ".zip")
LOOK_AGAIN = 86_400  # seconds: by then somebody may have installed MWAA's Python
DOWNLOADS = 600.0  # seconds that an installation may take


@dataclass(frozen=True)
class AirflowEnvironment:
    """An environment in which Airflow is installed.

    Attributes:
        folder: Where it is; its name tells what is in it.
        version: Airflow's.
        home: AIRFLOW_HOME, and the current folder: as on MWAA, the project's DAG folder is `dags` in it.
    """

    folder: Path
    version: str
    home: Path

    @property
    def python(self) -> Path:
        """The Python in which DAG files are imported."""
        return self.folder / "bin" / "python"

    @property
    def runs_on(self) -> str:
        """The version of that Python, e.g. 3.12.1."""
        text = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        return next(line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("version"))

    @property
    def name(self) -> str:
        """What results are the results of, in words: where MWAA has another Python, that, too."""
        mwaas = mwaa_python(self.version)
        differs = "" if self.runs_on.startswith(f"{mwaas}.") else f" (MWAA has {mwaas})"
        return f"Airflow {self.version} on Python {self.runs_on}{differs}"

    @property
    def tests_python(self) -> Path:
        """The same with pytest beside Airflow."""
        return self.folder / "tests" / "bin" / "python"

    @property
    def ruff(self) -> Path:
        """The linter that knows Airflow's old names."""
        return self.folder / "tests" / "bin" / "ruff"

    @property
    def database(self) -> str:
        """Airflow's own, as SQLAlchemy names it. Before Airflow 3 some DAGs look into it when they are made."""
        return f"sqlite:///{self.folder / 'airflow.db'}"

    def variables(self, dag_folder: Path, region: str, options: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """What a process in it needs: a home of its own, MWAA's settings, and no bytecode beside the DAGs.

        Args:
            dag_folder: Absolute.
            region: Of the environment that the DAGs are for.
            options: Its `airflow_options`, as variables; ours take precedence.
        """
        return {
            **(options or {}),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",  # MWAA's; a task may name no other
            "AIRFLOW__CORE__DAGS_FOLDER": str(dag_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(dag_folder / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # By default Airflow shows the two innermost calls of an error, which need not be in the DAG.
            "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "1000",
            # Its processes are ended by us, who say at which line they were.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "PYTHONDONTWRITEBYTECODE": "",  # set by some shells and images; it would cost seconds in every run
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }

    def alone(self, variables: Mapping[str, str]) -> Sequence[str]:
        """The start of a command line that sees these variables and none of this machine's: MWAA has none of them."""
        known = {
            "PATH": f"{self.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        return ["env", "-i", *(f"{name}={value}" for name, value in (known | dict(variables)).items())]


def versions() -> tuple[str, ...]:
    """The versions of Airflow that there are locks for, the oldest first."""
    found = (path.stem.removeprefix("airflow-") for path in LOCKS.glob("airflow-*.txt"))
    return tuple(sorted(found, key=lambda version: [int(part) for part in version.split(".")]))


def lock_of(version: str) -> Path:
    """The lock of what MWAA's image for a version of Airflow holds.

    Raises:
        UsageError: There is none.
    """
    lock = LOCKS / f"airflow-{version}.txt"
    if not lock.is_file():
        raise UsageError(
            f"there is no lock for Airflow {version}; there are locks for: {', '.join(versions())}",
            where="cdk.json: context.pipeline.airflow.version",
            mend=f"Make {lock.name} in {LOCKS} as the .in file beside it says.",
        )
    return lock


def ensure(project: Path, version: str, *, with_requirements: bool = True) -> AirflowEnvironment:
    """The environment for an Airflow version and the project's requirements, made now if there is none.

    Args:
        project: The project's folder.
        version: Airflow's.
        with_requirements: Install dags/requirements.txt over what MWAA's image holds.

    Raises:
        UsageError: There is no lock for the version.
        PipelineError: uv is missing, or the installation fails; says why.
    """
    lock = lock_of(version)
    tests = LOCKS / f"tests-{version}.txt"
    python = python_of(project, version)
    requirements = project / "dags" / "requirements.txt"
    asked = what_decides(requirements) if with_requirements and requirements.is_file() else b""
    key = fingerprint(lock.read_bytes() + tests.read_bytes(), asked, python)
    environment = AirflowEnvironment((project / FOLDER / key).resolve(), version, _home(project, key))
    if not (environment.folder / COMPLETE).is_file():
        with _alone(project / FOLDER, key):
            if not (environment.folder / COMPLETE).is_file():
                _create(environment, project, python, requirements if asked else None)
    return environment


def fingerprint(lock: bytes, requirements: bytes, python: str) -> str:
    """A name for an environment: the same for the same content, 16 hexadecimal digits."""
    parts = (FORMAT.encode(), lock, requirements, python.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()[:16]


def has_requirements(text: str) -> bool:
    """Whether a requirements.txt asks for anything, itself or in a file that it includes."""
    lines = (line.strip() for line in text.splitlines())
    return any(line and (not line.startswith(("#", "-")) or line.startswith(("-r", "--requirement"))) for line in lines)


def what_decides(requirements: Path) -> bytes:
    """A requirements.txt with all that decides what it installs: the files it includes, its constraints, packages.

    What is at an address of constraints is known by that address: Airflow never changes those of a version.
    """
    content = requirements.read_bytes()
    text = content.decode("utf-8", "replace")
    constraints = named(text)
    if constraints and not is_address(constraints):
        held = requirements.parent / below_dags(constraints)
        content += held.read_bytes() if held.is_file() else b""
    whole = expanded(requirements, text)
    if whole.splitlines() != text.splitlines():
        content += whole.encode()
    if PLUGINS_ON_MWAA in text or str(requirements.parent / "plugins") in whole:
        packages = sorted(requirements.parent.joinpath("plugins").glob("**/*"))
        content += b"".join(path.read_bytes() for path in packages if path.suffix in PACKAGES and path.is_file())
    return content


def python_of(project: Path, version: str) -> str:
    """The Python for an Airflow version; looked for once a day for each project, since it takes uv a second."""
    note = project / FOLDER / f"mwaa-python-{mwaa_python(version)}"
    if note.is_file() and time.time() - note.stat().st_mtime < LOOK_AGAIN:
        known = note.read_text(encoding="utf-8")
        if Path(known).is_file():
            return known
    found = airflow_python(version)
    note.parent.mkdir(exist_ok=True)
    note.write_text(found, encoding="utf-8")
    return found


def _home(project: Path, key: str) -> Path:
    """The home of an environment in a project. Two that make it at the same time make the same."""
    home = (project / FOLDER / "home" / key).resolve()
    home.mkdir(parents=True, exist_ok=True)
    link, dags = home / "dags", (project / "dags").resolve()
    if not link.is_symlink() or link.readlink() != dags:
        new = home / f"dags.{os.getpid()}"
        new.symlink_to(dags)
        new.replace(link)
    return home


@contextmanager
def _alone(folder: Path, key: str) -> Iterator[None]:
    """One process at a time makes an environment; the others wait for it."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(environment: AirflowEnvironment, project: Path, python: str, requirements: Path | None) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    uv, version = find_uv(), environment.version
    lock = lock_of(version)
    install = [uv, "pip", "install", "--quiet", "--python", str(environment.python)]
    with step(f"install Airflow {version} for the tests of DAGs"):
        run([uv, "venv", "--quiet", "--no-project", "--python", python, str(environment.folder)])
        run([*install, "--require-hashes", "--requirement", str(lock)], timeout=DOWNLOADS)
        _create_tests(environment, uv)
        if version.startswith("2."):  # some of its DAGs ask the database when they are made
            command = [str(environment.folder / "bin" / "airflow"), "db", "migrate"]
            run([*environment.alone(environment.variables(project / "dags", "")), *command], timeout=DOWNLOADS)
    if requirements and has_requirements(requirements.read_text(encoding="utf-8", errors="replace")):
        constraints = constraints_for(project, version, LOCKS)
        with step("install dags/requirements.txt as MWAA does"):
            try:
                run(
                    [*install, "--requirement", str(constraints.requirements), *constraints.options],
                    timeout=DOWNLOADS,
                )
            except CommandError as error:
                raise PipelineError(
                    f"its packages cannot be installed with Airflow {version}, under {constraints.source}:\n"
                    f"{error.output.strip()}",
                    where=str(requirements),
                    mend="`pipeline test requirements` says which; MWAA would come up without all of these packages.",
                ) from None
    (environment.folder / COMPLETE).touch()


def _create_tests(environment: AirflowEnvironment, uv: str) -> None:
    """The environment over the first: what it does not have itself, it finds there."""
    folder = environment.folder / "tests"
    lock = LOCKS / f"tests-{environment.version}.txt"
    run([uv, "venv", "--quiet", "--no-project", "--python", str(environment.python), str(folder)])
    run(
        [
            *(uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")),
            *("--require-hashes", "--requirement", str(lock)),
        ],
        timeout=DOWNLOADS,
    )
    (packages,) = environment.folder.glob("lib/python*/site-packages")
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "airflow.pth").write_text(f"{packages}\n", encoding="utf-8")
