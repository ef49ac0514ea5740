"""Rules about Airflow's names that are gone, going, or to go in the next version."""

from collections.abc import Iterator
from typing import Final

from pipeline.dagtest.facts import DagFile, Remark
from pipeline.dagtest.rules.verdicts import Problem, Project

Version = tuple[int, int]

# ruff's code → the version that took the name away ("Airflow (AIR)" of ruff's rules)
REMOVED: Final[dict[str, Version]] = {"AIR301": (3, 0), "AIR302": (3, 0), "AIR303": (3, 0)}
# ruff's code → the version since which the name still works and should not be used
DEPRECATED: Final[dict[str, Version]] = {"AIR311": (3, 0), "AIR312": (3, 0), "AIR321": (3, 1)}
CODES: Final = (*REMOVED, *DEPRECATED)


def removed_apis(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that the configured version no longer has."""
    now = _version(project.airflow)
    for found in _found(file, project, {code for code, since in REMOVED.items() if since <= now}):
        what, _, advice = found.text.partition(". ")
        mend = f"{advice}." if advice else "Use what Airflow's upgrade guide names in its place, or do without it."
        yield _problem(file, found, f"Airflow {project.airflow} does not have it: {what}", mend)


def deprecated_apis(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that the configured version warns of, when it is imported or by what ruff knows of it."""
    now = _version(project.airflow)
    warned = {(warning.path, warning.line) for warning in file.deprecations}
    known = _found(file, project, {code for code, since in DEPRECATED.items() if since <= now})
    for found in (*file.deprecations, *(each for each in known if (each.path, each.line) not in warned)):
        yield _problem(file, found, found.text, "It works still; a later version will not have it.")


def next_airflow(file: DagFile, project: Project) -> Iterator[Problem]:
    """Nothing is used that a version after the configured one takes away or warns of."""
    now = _version(project.airflow)
    later = {code: since for code, since in (REMOVED | DEPRECATED).items() if since > now}
    for found in _found(file, project, set(later)):
        since = ".".join(map(str, later[found.text.partition(" ")[0]]))
        yield _problem(file, found, f"from Airflow {since} on: {found.text}", "Change it before the upgrade.")


def _version(text: str) -> Version:
    major, minor = (int(part) for part in text.split(".")[:2])
    return major, minor


def _found(file: DagFile, project: Project, codes: set[str]) -> Iterator[Remark]:
    """What ruff says of the file and of the team's modules that it imports."""
    for path in (file.path, *file.own):
        yield from (found for found in project.old_names.get(path, ()) if found.text.partition(" ")[0] in codes)


def _problem(file: DagFile, found: Remark, what: str, mend: str) -> Problem:
    if found.path == file.path:
        return Problem(what, mend, found.line)
    return Problem(f"{what} (in {found.path}:{found.line})", mend)
