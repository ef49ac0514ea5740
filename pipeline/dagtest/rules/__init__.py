"""What must hold of DAG files. Each rule is a pure function: a file and its project in, problems out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.rules import apis, parsing, scheduling, tasks
from pipeline.dagtest.rules.verdicts import Judge, Level, Problem, Project, Verdict
from pipeline.errors import UsageError
from pipeline.settings import SETTINGS_FILE

__all__ = ["IMPORTS", "RULES", "Problem", "Project", "Rule", "Verdict", "denied", "judge", "levels"]

IMPORTS: Final = "imports"


@dataclass(frozen=True)
class Rule:
    """A rule, and what it does unless the settings say otherwise.

    Attributes:
        judge: The function.
        level: `deny` fails the test, `warn` only tells, `off` leaves it out.
        needs_dags: It says nothing of a file that was not imported, or that holds no DAG.
        access: The kind of access that it is about: denied, the access does not happen.
    """

    judge: Judge
    level: Level = "deny"
    needs_dags: bool = False
    access: str = ""


def _no(kind: str) -> Rule:
    return Rule(parsing.no(kind), access=kind)


# In the order of the report.
RULES: Final[Mapping[str, Rule]] = {
    IMPORTS: Rule(parsing.imports),
    "parse-time": Rule(parsing.parse_time),
    "output": Rule(parsing.output),
    "no-network": _no("network"),
    "no-database": _no("database"),
    "no-variables": _no("variables"),
    "no-connections": _no("connections"),
    "no-processes": _no("processes"),
    "no-writes": _no("files"),
    "modules": Rule(parsing.modules),
    "uncalled-dags": Rule(scheduling.uncalled_dags, "warn"),
    "cycles": Rule(scheduling.cycles),
    "duplicate-ids": Rule(scheduling.duplicate_ids, needs_dags=True),
    "schedules": Rule(scheduling.schedules, needs_dags=True),
    "start-dates": Rule(scheduling.start_dates, needs_dags=True),
    "owners": Rule(scheduling.owners, "off", needs_dags=True),
    "tags": Rule(scheduling.tags, "off", needs_dags=True),
    "retries": Rule(scheduling.retries, "off", needs_dags=True),
    "default-args": Rule(scheduling.default_args, "warn", needs_dags=True),
    "off-workers": Rule(tasks.off_workers, "warn", needs_dags=True),
    "container-exists": Rule(tasks.container_exists, needs_dags=True),
    "container-command": Rule(tasks.container_command, needs_dags=True),
    "templates-render": Rule(tasks.templates_render, needs_dags=True),
    "removed-apis": Rule(apis.removed_apis),
    "deprecated-apis": Rule(apis.deprecated_apis, "warn"),
    "next-airflow": Rule(apis.next_airflow, "warn"),
}


def levels(wanted: Mapping[str, Level], exceptions: Mapping[str, Sequence[str]]) -> Mapping[str, Level]:
    """Every rule's level: the settings' own, else the rule's.

    Raises:
        UsageError: The settings name a rule that does not exist.
    """
    strange = sorted((set(wanted) | set(exceptions)) - set(RULES))
    if strange:
        raise UsageError(
            f"there is no rule {', '.join(map(repr, strange))}; there are: {', '.join(RULES)}",
            where=f"{SETTINGS_FILE}: context.pipeline.dag_tests",
        )
    return {name: wanted.get(name, rule.level) for name, rule in RULES.items()}


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file, as people write it, is meant by one of the patterns."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def denied(wanted: Mapping[str, Level], exceptions: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    """Kind of access that does not happen → patterns of files for which it does.

    Nothing may change the project, whatever the team thinks of a file that tries: its other files would suffer.
    """
    used = levels(wanted, exceptions)
    found = {rule.access: tuple(exceptions.get(name, ())) for name, rule in RULES.items() if used[name] == "deny"}
    return {kind: patterns for kind, patterns in found.items() if kind} | {"files": ()}


def judge(files: Sequence[DagFile], project: Project) -> tuple[Verdict, ...]:
    """Every rule's verdict on every file, files by path and rules in their order; rules that are off say nothing.

    the file            `imports`    rules about parsing   rules about DAGs
    was not imported    fails        judge                 are skipped
    holds no DAG        is good      judge                 are skipped, and say so
    holds DAGs          is good      judge                 judge
    """
    files_of: dict[str, list[str]] = {}
    for file in files:
        for dag in file.dags:
            files_of.setdefault(dag.dag_id, []).append(file.path)
    imported = frozenset(path for file in files for path in file.own if path != file.path)
    known = replace(project, files_of=files_of, imported=imported)
    return tuple(_verdicts(sorted(files, key=lambda file: file.path), known))


def _verdicts(files: Sequence[DagFile], project: Project) -> Iterator[Verdict]:
    demands = project.demands
    used = levels(demands.rules, demands.exceptions)
    for file in files:
        excepted = {name for name in RULES if matches(file.path, demands.exceptions.get(name, ()))}
        told = {rule.access for name, rule in RULES.items() if used[name] != "off" and name not in excepted}
        for name, rule in RULES.items():
            if used[name] == "off":
                continue
            skipped = _not_for(rule, file, told)
            if name in excepted:
                skipped = "an exception of the team's, in cdk.json"
            if skipped:
                yield Verdict(file.path, name, skipped=skipped, level=used[name])
                continue
            seconds = file.seconds if name == IMPORTS else 0.0
            problems = tuple(dict.fromkeys(rule.judge(file, project)))  # a mapped task may have one many times
            yield Verdict(file.path, name, problems, seconds=seconds, level=used[name])


def _not_for(rule: Rule, file: DagFile, told: set[str]) -> str:
    """Why a rule says nothing of a file; `told` are the kinds of access that rules tell of."""
    is_denied = file.failure is not None and file.failure.is_denied
    if rule.judge is parsing.imports and is_denied and any(event.kind in told for event in file.events):
        return "the import was stopped by what another rule denies"
    if not rule.needs_dags:
        return ""
    if file.failure:
        return "the file was not imported"
    return "" if file.dags else "the file holds no DAG; if it never will, name it in .airflowignore"
