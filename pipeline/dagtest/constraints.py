"""The constraints under which MWAA installs requirements.txt.

MWAA adds Airflow's own constraints when requirements.txt names none; a small essential subset holds in any case,
because MWAA's image depends on it (amazon-mwaa-docker-images, `user_requirements.py`).

requirements.txt                          constraints
names none                                Airflow's, and the essential ones
speaks of some, as in a comment           the essential ones: MWAA looks for the words on any line, and then adds none
names a file (of the DAG folder)          that file's, and the essential ones
names an address, and it is reached       what is there, and the essential ones
an address is not reached                 the lock of MWAA's image, which is a part of Airflow's (said so), and the
                                          essential ones
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dagtest.worker.mwaa_home import MWAA_HOME
from pipeline.pythons import mwaa_python

ADDRESS = "https://raw.githubusercontent.com/apache/airflow/constraints-{airflow}/constraints-{python}.txt"
SECONDS = 5.0  # to answer; a machine that is cut off must not wait long
ON_MWAA = f"{MWAA_HOME}/dags/"
PLUGINS_ON_MWAA = f"{MWAA_HOME}/plugins"
INCLUDES = re.compile(r"^\s*(?:-r|--requirement)(?:\s+|=)?[\"']?([^\"'\s]+)[\"']?\s*(?:#.*)?$")
_PLACE_ON_MWAA = re.compile(rf"{MWAA_HOME}/(dags|plugins)(?=[/\s\"']|$)")
_SPEAKS_OF_SOME = re.compile(r"-c |--constraint ")
_OPTION = re.compile(r"^\s*(?:-c|--constraint)(?:\s+|=)[\"']?([^\"'\s]+)[\"']?\s*(?:#.*)?$")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


@dataclass(frozen=True)
class Constraints:
    """How to install a requirements.txt as MWAA does.

    Attributes:
        requirements: The file to install: without its constraint lines, since those are here.
        files: Constraint files, all of which hold.
        essential: Packages that are held whatever requirements.txt says.
        source: Where they are from, in words.
        is_whole: All that MWAA applies; else only what is known here.
    """

    requirements: Path
    files: tuple[Path, ...]
    essential: frozenset[str]
    source: str
    is_whole: bool

    @property
    def options(self) -> Sequence[str]:
        """For uv's command line."""
        return [part for file in self.files for part in ("--constraint", str(file))]

    def pins(self) -> dict[str, str]:
        """Package → the version it is held at."""
        return {
            name: version for file in self.files for name, version in pins(file.read_text(encoding="utf-8")).items()
        }


def pins(text: str) -> dict[str, str]:
    """The pins of a constraints or lock file, by normalised name."""
    found = (_PIN.match(line) for line in text.splitlines())
    return {normal(match[1]): match[2] for match in found if match}


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: str) -> str | None:
    """The constraints that a requirements.txt names, None when it names none."""
    found = (_OPTION.match(line) for line in requirements.splitlines())
    return next((match[1] for match in found if match), None)


def without_constraints(requirements: str) -> str:
    """A requirements.txt without the lines that name constraints, line for line."""
    return "".join("\n" if _OPTION.match(line) else f"{line}\n" for line in requirements.splitlines())


def below_dags(path: str) -> str:
    """A path of a requirements.txt, from the DAG folder, where the project has its plugins, too."""
    return path.removeprefix(ON_MWAA).replace(f"{PLUGINS_ON_MWAA}/", "plugins/")


def expanded(path: Path, text: str, above: Sequence[Path] = ()) -> str:
    """A requirements.txt for this machine.

    on MWAA                                     here
    /usr/local/airflow/dags, .../plugins        the project's dags/, dags/plugins/
    `-r FILE`, from the file that says so       that file's lines; the line as it is, if there is no such file
    `-r FILE` of a file that includes this one  nothing: it is there already

    Args:
        path: The file.
        text: What is in it.
        above: The files that include it, the first of them in the DAG folder.
    """
    way = (*above, path.resolve())
    dags = way[0].parent
    lines = []
    for line in text.splitlines():
        here = _PLACE_ON_MWAA.sub(lambda found: str(dags if found[1] == "dags" else dags / "plugins"), line)
        included = INCLUDES.match(here)
        inner = (path.parent / included[1]).resolve() if included else None
        if inner is None or not inner.is_file():
            lines.append(f"{here}\n")
        elif inner not in way:
            lines.append(expanded(inner, inner.read_text(encoding="utf-8", errors="replace"), way))
    return "".join(lines)


def constraints_for(project: Path, version: str, locks: Path) -> Constraints:
    """What holds when MWAA installs the project's requirements.txt; see the table above.

    Args:
        project: Its `dags/requirements.txt` is meant; files are written into its `.airflow`.
        version: Airflow's.
        locks: The folder with the locks of what MWAA's image holds, and of what is essential to it.
    """
    folder = project / ".airflow" / f"constraints-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    path = project / "dags" / "requirements.txt"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    requirements = _written(folder / "requirements.txt", without_constraints(expanded(path, text)))
    essential = locks / f"essential-{version}.txt"
    held = frozenset(pins(essential.read_text(encoding="utf-8")))

    def known(files: tuple[Path, ...], words: str, *, is_whole: bool = True) -> Constraints:
        return Constraints(requirements, files, held, words, is_whole)

    wanted = named(text)
    if wanted and not is_address(wanted):
        own = path.parent / below_dags(wanted)
        return known((own, essential), f"{wanted} and MWAA's essential constraints")
    if not wanted and (found := _SPEAKS_OF_SOME.search(text)):
        words = f"MWAA's essential constraints only, for it adds no others where a line has {found[0].strip()!r}"
        return known((essential,), words)
    address = wanted or ADDRESS.format(airflow=version, python=mwaa_python(version))
    kept = folder / f"{re.sub('[^A-Za-z0-9.]+', '-', address)}.txt"
    if not kept.is_file():
        content = _fetched(address)
        if content is None:
            image = pins((locks / f"airflow-{version}.txt").read_text(encoding="utf-8"))
            locked = _written(folder / "image.txt", "".join(f"{name}=={pin}\n" for name, pin in sorted(image.items())))
            words = f"the lock of MWAA's image for Airflow {version} (Airflow's own constraints could not be reached)"
            return known((locked, essential), words, is_whole=False)
        _written(kept, content)
    return known((kept, essential), f"{address} and MWAA's essential constraints")


def is_address(constraints: str) -> bool:
    """Whether what a requirements.txt names is on the network; else it is a file of the DAG folder."""
    return constraints.startswith(("http://", "https://"))


def _fetched(address: str) -> str | None:
    """What is at an address; None when it cannot be had."""
    from urllib.request import urlopen  # noqa: PLC0415 - it takes long, and is seldom needed

    try:
        with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - http(s), as MWAA does
            content: bytes = answer.read()
        return content.decode("utf-8")
    except (OSError, ValueError):
        return None


def _written(path: Path, text: str) -> Path:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path
