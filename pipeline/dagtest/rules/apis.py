"""Rules about Airflow's names that are gone, going, or to go in the next version."""

import re
from collections.abc import Collection, Iterator
from typing import Final

from pipeline.dagtest.facts import DagFile, Remark
from pipeline.dagtest.rules.verdicts import Problem, Project

Version = tuple[int, int]

# ruff's code → the version that took the name away ("Airflow (AIR)" of ruff's rules)
REMOVED: Final[dict[str, Version]] = {"AIR301": (3, 0), "AIR302": (3, 0), "AIR303": (3, 0)}
# ruff's code → the version since which the name still works and should not be used
DEPRECATED: Final[dict[str, Version]] = {"AIR311": (3, 0), "AIR312": (3, 0), "AIR321": (3, 1)}
CODES: Final = (*REMOVED, *DEPRECATED)
GOING: Final = "It works still; a later version will not have it."
_NAME: Final = re.compile(r"`([\w.]+)`")
# ruff says of what is deprecated that it is removed, and that it still works
_STILL_WORKS: Final = re.compile(
    r"( is removed in Airflow [\d.]+)?; It still works in Airflow [\d.]+ "
    r"but is expected to be removed in a future version"
)


def removed_apis(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that the configured version no longer has."""
    now = _version(project.airflow)
    for found, also in _found(file, project, {code for code, since in REMOVED.items() if since <= now}):
        what, _, advice = found.text.replace(";. ", ". ").partition(". ")
        mend = (
            f"{advice.removesuffix('.')}."
            if advice
            else "Use what Airflow's upgrade guide names in its place, or do without it."
        )
        yield _problem(file, found, f"Airflow {project.airflow} does not have it: {what}{also}", mend)


def deprecated_apis(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that the configured version warns of, when it is imported or by what ruff knows of it.

    ruff knows of                                   told
    what Airflow warned of at that line, or by name once, as Airflow does
    any other                                       as ruff does
    """
    now = _version(project.airflow)
    warned = {(each.path, told) for each in file.deprecations for told in (each.line, *_NAME.findall(each.text)[:1])}
    known = {code for code, since in DEPRECATED.items() if since <= now}
    for warning in file.deprecations:
        yield _problem(file, warning, _plain(warning.text), GOING)
    for found, also in _found(file, project, known, warned):
        yield _problem(file, found, _plain(found.text) + also, GOING)


def next_airflow(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that a version after the configured one takes away or warns of."""
    now = _version(project.airflow)
    later = {code: since for code, since in (REMOVED | DEPRECATED).items() if since > now}
    for found, also in _found(file, project, set(later)):
        since = ".".join(map(str, later[found.text.partition(" ")[0]]))
        what = f"from Airflow {since} on: {_plain(found.text)}{also}"
        yield _problem(file, found, what, "Change it before the upgrade.")


def _version(text: str) -> Version:
    major, minor = (int(part) for part in text.split(".")[:2])
    return major, minor


def _found(
    file: DagFile, project: Project, codes: set[str], but: Collection[tuple[str, int | str | None]] = ()
) -> Iterator[tuple[Remark, str]]:
    """What ruff says of the file and of the team's modules that it imports, each sentence once, with its other lines.

    Args:
        file: The file.
        project: What ruff says.
        codes: ruff's codes that are meant.
        but: What is left out: a path with a line, or with a name.
    """
    for path in dict.fromkeys((file.path, *file.own)):  # a DAG file is among what it imports itself
        same: dict[str, list[Remark]] = {}
        for found in project.old_names.get(path, ()):
            keys = {(path, told) for told in (found.line, *_NAME.findall(found.text)[:1])}
            if found.text.partition(" ")[0] in codes and keys.isdisjoint(but):
                same.setdefault(found.text, []).append(found)
        for first, *more in same.values():
            lines = sorted({each.line for each in more if each.line is not None} - {first.line})
            also = f" (also at line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))})" if lines else ""
            yield first, also


def _plain(text: str) -> str:
    """A warning as one line that does not contradict itself."""
    line = " ".join(text.split())
    return _STILL_WORKS.sub(lambda found: " is deprecated" if found[1] else "", line)


def _problem(file: DagFile, found: Remark, what: str, mend: str) -> Problem:
    if found.path == file.path:
        return Problem(what, mend, found.line)
    return Problem(f"{what} (in {found.path}:{found.line})", mend)
