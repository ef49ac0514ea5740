"""The Python environment an Airflow is installed in: made with uv, kept by what is in it.

What MWAA's image holds is a lock file of each version, the one that DAGs are tested with. requirements.txt is installed
over it as MWAA does (amazon-mwaa-docker-images, `user_requirements.py`):

requirements.txt                          constraints, beside those essential to MWAA's image, locked beside it
names none                                the lock
names Airflow's own, by their address     the lock, which is the part of them that MWAA's image holds
names others, even in a comment           those
"""

import fcntl
import hashlib
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import pipeline
from pipeline.errors import PipelineError
from pipeline.process import run, stream
from pipeline.pythons import airflow_python, find_uv

LOCKS: Final = Path(pipeline.__file__).parent / "dagtest" / "locks"
COMPLETE: Final = "complete"
_FORMAT: Final = "mwaa-2"  # of what is installed; a change makes every installation anew
_CONSTRAINT: Final = re.compile(r"^\s*(?:-c|--constraint)[\s=]\s*[\"']?([^\"'\s]+)")
_NAMES_ANY: Final = re.compile(r"-c |--constraint ")  # how MWAA looks for them: a comment is a way to have none
_AIRFLOWS_OWN: Final = "https://raw.githubusercontent.com/apache/airflow/constraints-"
_EMPTY_DATABASE: Final = "empty-airflow.db"
_MIGRATION: Final = 300.0  # seconds

Tell = Callable[[str], None]  # takes a line


@dataclass(frozen=True)
class Installation:
    """An Airflow ready to run."""

    folder: Path

    @property
    def airflow(self) -> Path:
        """Its command line."""
        return self.folder / "bin" / "airflow"

    def new_database(self, at: Path, variables: Mapping[str, str]) -> None:
        """A migrated database without content; migrated once for each installation, then copied.

        Raises:
            PipelineError: The migration fails.
        """
        template = self.folder / _EMPTY_DATABASE
        if not template.exists():
            home = at.parent / "migration"
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            self.migrate(home / "airflow.db", {**variables, "AIRFLOW_HOME": str(home)})
            _copy(home / "airflow.db", template)
            shutil.rmtree(home)
        _copy(template, at)

    def migrate(self, database: Path, variables: Mapping[str, str]) -> None:
        """Bring a database to this Airflow's schema.

        Raises:
            PipelineError: The migration fails.
        """
        connection = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"}
        run([str(self.airflow), "db", "migrate"], env={**variables, **connection}, timeout=_MIGRATION)


class Installations:
    """All Airflows installed in a folder; several processes may share it."""

    def __init__(self, folder: Path, locks: Path = LOCKS) -> None:
        self._folder = folder.absolute()
        self._locks = locks
        self.ended = Event()  # once set, whatever is being installed is ended: the server stops

    def versions(self) -> list[str]:
        """The Airflow versions there are locks for, oldest first."""
        found = [path.stem.removeprefix("airflow-") for path in self._locks.glob("airflow-*.txt")]
        return sorted(found, key=lambda version: [int(part) for part in version.split(".")])

    def plain(self, version: str) -> Installation:
        """Airflow as MWAA's image has it.

        Raises:
            PipelineError: There is no lock for the version, uv is missing, or the installation fails.
        """
        return self._ensure(version, b"", "", _nobody)

    def with_requirements(self, version: str, requirements: str, extra: str, tell: Tell) -> Installation:
        """Airflow with a requirements.txt installed over it.

        Args:
            version: Airflow's.
            requirements: The file's text.
            extra: What else decides the result, e.g. a digest of wheels the file refers to.
            tell: Takes the lines of the installation.

        Raises:
            CommandError: The requirements cannot be installed.
            PipelineError: As `plain`.
        """
        if not asks_for_something(requirements):
            return self.plain(version)
        return self._ensure(version, requirements.encode(), extra, tell)

    def _ensure(self, version: str, requirements: bytes, extra: str, tell: Tell) -> Installation:
        lock = self._locks / f"airflow-{version}.txt"
        if not lock.is_file():
            raise PipelineError(
                f"there is no lock for Airflow {version}; there are locks for: {', '.join(self.versions())}",
                where=str(self._locks),
                mend=f"Make {lock.name} as the .in file beside the others says.",
            )
        uv = find_uv()
        python = airflow_python(version)
        essential = self._locks / f"essential-{version}.txt"
        key = fingerprint(lock.read_bytes() + essential.read_bytes(), requirements, python, extra)
        installation = Installation(self._folder / key)
        with _alone(self._folder, key):
            if (installation.folder / COMPLETE).is_file():
                tell(f"the same requirements are installed already, in {installation.folder.name}")
            else:
                _Uv(uv, python, self.ended).install(installation.folder, lock, essential, requirements, tell)
        return installation


def fingerprint(lock: bytes, requirements: bytes, python: str, extra: str = "") -> str:
    """A name for an installation: the same for the same content, 16 hexadecimal digits."""
    parts = [_FORMAT.encode(), lock, requirements, python.encode(), *([extra.encode()] if extra else [])]
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()[:16]


def asks_for_something(requirements: str) -> bool:
    """Whether a requirements.txt has any line that is neither a comment nor about constraints."""
    lines = [line.strip() for line in requirements.splitlines() if not _CONSTRAINT.match(line)]
    return any(line and not line.startswith("#") for line in lines)


def under_constraints(requirements: str) -> tuple[str, bool]:
    """What to install, and whether the lock is among the constraints; see the table above."""
    lines, others = [], False
    for line in requirements.splitlines():
        named = _CONSTRAINT.match(line)
        if named and named[1].startswith(_AIRFLOWS_OWN):
            continue
        others = others or _NAMES_ANY.search(line) is not None
        lines.append(line)
    return "\n".join([*lines, ""]), not others


@dataclass(frozen=True)
class _Uv:
    """Installs with uv; `ended`, once set, ends what it does."""

    program: str
    python: str
    ended: Event

    def install(self, folder: Path, lock: Path, essential: Path, requirements: bytes, tell: Tell) -> None:
        """Make an environment with what the lock names, and the requirements over it."""
        shutil.rmtree(folder, ignore_errors=True)
        install = [self.program, "pip", "install", "--python", str(folder / "bin" / "python")]
        run([self.program, "venv", "--quiet", "--no-project", "--python", self.python, str(folder)])
        stream([*install, "--quiet", "--require-hashes", "--requirement", str(lock)], _nobody, stop=self.ended)
        if requirements:
            asked = folder / "requirements.txt"
            text, with_lock = under_constraints(requirements.decode(errors="replace"))
            asked.write_text(text, encoding="utf-8")
            held = [f"--constraint={each}" for each in ((lock, essential) if with_lock else (essential,))]
            stream([*install, "--requirement", str(asked), *held], tell, stop=self.ended)
        (folder / COMPLETE).touch()


def _nobody(_: str) -> None:
    """Who does not want to know."""


def _copy(source: Path, target: Path) -> None:
    """Copy a SQLite database, what is still in its write-ahead log included."""
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(new)) as copy:
        old.backup(copy)
    new.replace(target)


@contextmanager
def _alone(folder: Path, key: str) -> Iterator[None]:
    """One process at a time makes an installation; the others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
