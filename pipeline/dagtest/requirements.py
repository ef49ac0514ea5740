"""Whether MWAA could install dags/requirements.txt, load plugins/ and run startup.sh. MWAA itself hides most failures.

file               checks
requirements.txt   `constraints`, `resolves`, `installs`
plugins/           `size`, `syntax`, `loads`
startup.sh         `syntax`, `time`
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.dagtest.constraints import INCLUDES, ON_MWAA, Constraints, below_dags, is_address, named, normal
from pipeline.dagtest.rules import Problem, Verdict

PLUGINS_LIMIT: Final = (
    1_000_000_000  # bytes of plugins.zip (MWAA user guide, "Custom plugins directory and size limits")
)
STARTUP_SECONDS: Final = 300  # after which MWAA ends startup.sh (amazon-mwaa-docker-images)
_VERSION_IN_ADDRESS = re.compile(r"constraints-(\d+\.\d+\.\d+)/constraints-(\d+\.\d+)")
_ASKED = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)$")
_AT_LINE = re.compile(r": \S*requirements\.txt:(\d+):\d+$")  # how uv ends what it cannot read,
_AT_POSITION = re.compile(r"^error: \S.* at position (\d+) cause:")  # or begins it
_SLEEP = re.compile(r"^\s*(?:sudo\s+)?sleep\s+(\d+(?:\.\d+)?)([smh]?)\b")
BASH_LINE = re.compile(r"line (\d+): (.*)")
_DRAWN = " │╰─▶\N{MULTIPLICATION SIGN}"  # around what uv says
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Requirement:
    """A line of requirements.txt that asks for a package; a conditional one does so on some machines only."""

    line: int
    text: str
    name: str
    version: str
    is_conditional: bool = False

    @property
    def exact(self) -> str | None:
        """The one version it allows, if it names one."""
        match = re.fullmatch(r"===?\s*([^\s,*]+)", self.version)
        return match[1] if match else None


def asked(text: str) -> tuple[Requirement, ...]:
    """The packages that a requirements.txt asks for; addresses and files of wheels have no name here."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(" #")[0].strip()
        match = _ASKED.match(words)
        if match and not words.startswith(("#", "-")) and "/" not in words.partition("@")[0]:
            version, semicolon, _ = match[2].partition(";")
            found.append(Requirement(number, words, normal(match[1]), version.strip(), bool(semicolon)))
    return tuple(found)


def unnamed(text: str) -> tuple[Requirement, ...]:
    """The packages that it asks for by address, file or folder."""
    named_lines = {requirement.line for requirement in asked(text)}
    return tuple(
        Requirement(number, words, "", "")
        for number, line in enumerate(text.splitlines(), 1)
        if number not in named_lines
        and (words := line.partition(" #")[0].strip())
        and words.startswith(("-e ", "--editable")) | (words[0] not in "-#")
    )


def missing_files(text: str, dags: Sequence[str]) -> Iterator[Problem]:
    """Files with more requirements that are not in the DAG folder."""
    for number, line in enumerate(text.splitlines(), 1):
        included = INCLUDES.match(line)
        if included and not is_address(included[1]) and below_dags(included[1]).removeprefix("./") not in dags:
            yield Problem(
                f"the file {included[1]!r} is not in the DAG folder",
                f"Put it there and name it {ON_MWAA}FILE, which is where MWAA has it.",
                number,
            )


def unreadable(expanded: str, refusal: str, text: str) -> Problem | None:
    """The line that cannot be read, None if the resolver refuses something else.

    Args:
        expanded: What the resolver was given.
        refusal: What it says.
        text: The requirements.txt, which may include others.
    """
    said = " ".join(refusal.split())  # uv breaks its lines where a terminal's would end
    if at_line := _AT_LINE.search(said):
        line = int(at_line[1])
    elif at_position := _AT_POSITION.search(said):
        line = expanded[: int(at_position[1])].count("\n") + 1
    else:
        return None
    words = "".join(expanded.splitlines()[line - 1 : line])
    here = line if text.splitlines()[line - 1 : line] == [words] else None
    return Problem(
        f"{words.strip()!r} cannot be read: {_one_line(_AT_LINE.sub('', said))}", "Write it as pip expects it.", here
    )


def comes_from_files_only(text: str) -> bool:
    """Whether a requirements.txt shuts the package index out: only an environment can tell what it has already."""
    return any(line.split()[:1] == ["--no-index"] for line in text.splitlines())


def wrong_constraints(text: str, airflow: str, python: str, dags: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the constraints that a requirements.txt names.

    names                                  problem
    none                                   none: MWAA adds Airflow's
    Airflow's for this version             none
    Airflow's for another version          that: MWAA's packages do not fit
    a file that is in the DAG folder       none
    a file that is not                     MWAA would not find it
    """
    given = named(text)
    if given is None:
        return
    line = next((number for number, words in enumerate(text.splitlines(), 1) if given in words), None)
    versions = _VERSION_IN_ADDRESS.search(given)
    if versions and versions.groups() != (airflow, python):
        yield Problem(
            f"it names the constraints of Airflow {versions[1]} on Python {versions[2]}; the environments run "
            f"{airflow} on {python}",
            "Name those of that version, or none: MWAA adds them itself.",
            line,
        )
    if not is_address(given) and below_dags(given) not in dags:
        yield Problem(
            f"the constraints file {given!r} is not in the DAG folder",
            f"Put it there and name it {ON_MWAA}FILE, which is where MWAA has it.",
            line,
        )


def against_pins(text: str, pins: Mapping[str, str], essential: Collection[str]) -> Iterator[Problem]:
    """Packages asked for in one version and held at another, each with the reason; `essential` ones by MWAA's image."""
    for requirement in asked(text):
        held = pins.get(requirement.name)
        if held is None or requirement.exact in (None, held):
            continue
        if requirement.name in essential:
            why = "MWAA's image depends on it: this cannot be overridden"
        else:
            why = "the constraints hold it there"
        yield Problem(
            f"{requirement.name} is asked for in version {requirement.exact} and held at {held}: {why}",
            f"Ask for {requirement.name}=={held}, or for {requirement.name} alone.",
            requirement.line,
        )


def unresolved(text: str, alone: Mapping[int, str], together: str, source: str) -> Iterator[Problem]:
    """Why packages cannot be installed together, package by package.

    Args:
        text: The requirements.txt.
        alone: Line → what the resolver says of that line's package alone under the constraints.
        together: What it says of all of them.
        source: Where the constraints are from.
    """
    by_line = {requirement.line: requirement for requirement in (*asked(text), *unnamed(text))}
    for line, reason in alone.items():
        yield Problem(
            f"{by_line[line].text} cannot be installed under {source}: {_one_line(reason)}",
            "Ask for another version of it, or do what needs it in a container.",
            line,
        )
    if not alone:
        yield Problem(
            f"its packages cannot be installed together under {source}: {_one_line(together)}",
            "Ask for other versions of them, or do what needs them in a container.",
        )


def wrong_plugins(folder: Path, refused: Mapping[str, str]) -> Iterator[tuple[str, Problem | None]]:
    """Each check of plugins/ by name, with a problem or None.

    Args:
        folder: The plugins.
        refused: File, from there → what Airflow's Python says of its syntax, after `:LINE` if it knows one.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    size = sum(path.stat().st_size for path in files)
    large = Problem(
        f"its files have {size / 1e6:,.0f} MB; MWAA recommends less than {PLUGINS_LIMIT / 1e6:,.0f} MB for plugins.zip",
        "Put packages into dags/requirements.txt and data into the bucket.",
    )
    yield "size", large if size > PLUGINS_LIMIT else None
    for name, reason in refused.items():
        yield "syntax", Problem(f"{name}{reason}", "Airflow would load none of it.")
    if not refused:
        yield "syntax", None


def slow_startup(text: str) -> Iterator[Problem]:
    """A startup.sh that waits longer than it may run. What it does takes time, too; `--run-startup` tells how much."""
    waits = [
        (number, float(match[1]) * _UNITS[match[2]])
        for number, line in enumerate(text.splitlines(), 1)
        if (match := _SLEEP.match(line))
    ]
    total = sum(seconds for _, seconds in waits)
    if total >= STARTUP_SECONDS:
        yield Problem(
            f"it sleeps {total:g} s; MWAA ends it after {STARTUP_SECONDS} s",
            "Wait less, or in a task.",
            waits[0][0],
        )


def crooked_startup(content: bytes) -> Iterator[Problem]:
    """What bash would stumble over, whatever the script means."""
    if b"\r\n" in content:
        line = content[: content.index(b"\r\n")].count(b"\n") + 1
        yield Problem(
            "its lines end as on Windows; bash takes the end for a part of each command", "Save it with LF.", line
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        yield Problem(f"it is not UTF-8: {error}", "Save it as UTF-8.")


def verdict(path: str, check: str, problems: Iterator[Problem] | Sequence[Problem], *, note: str = "") -> Verdict:
    """A check's verdict on a file; `note` tells what could not be looked at."""
    found = tuple(problems)
    return Verdict(path, check, found, skipped="" if found else note)


def part_of(constraints: Constraints) -> str:
    """What to say when only a part of MWAA's constraints is known."""
    return "" if constraints.is_whole else f"checked against a part only: {constraints.source}"


def _one_line(text: str) -> str:
    lines = (line.strip(_DRAWN) for line in text.strip().splitlines())
    words = " ".join(line for line in lines if line)
    return re.sub(r"^error: (?:.*?cause: )?", "", words).removesuffix(".")
