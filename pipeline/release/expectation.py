"""What a plan should bring about in Airflow, and which of its errors are none of the plan's. Pure."""

import ast
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pipeline.release.bucket import ABSENT
from pipeline.release.imports import importers_of
from pipeline.release.plan import Action, Plan, Row
from pipeline.release.pointer import Pointer
from pipeline.release.structure import Dag
from pipeline.release.tree import DAGS_PREFIX, Source, Tree
from pipeline.release.verdict import Expectation, Seen

_WRITES = (Action.UPLOAD, Action.ADOPT, Action.RESTORE)


def of_deploy(
    plan: Plan, tree: Tree, before: Seen, *, dags: Mapping[str, Dag] | None = None, resumed: bool = False
) -> Expectation:
    """Expect every DAG file that was written, every DAG that imports something written, and no DAG of a deleted file.

    A written file that imports another one is both: Airflow may have parsed its new text beside the old helper. Of a
    zip file Airflow tells no text, so its DAGs are as those that import something written.

    | a written file                                  | structures known | is                                    |
    | ----------------------------------------------- | ---------------- | ------------------------------------- |
    | Airflow had found DAGs in it                    | either           | to be parsed again                    |
    | the structures name a DAG of it                 | yes              | to have one                           |
    | its text says that it defines DAGs              | no               | hoped to have one, as a guess may err |
    | otherwise                                       | either           | not waited for                        |

    A text says so when it imports `DAG` or `dag` from Airflow, nothing imports the file, and `.airflowignore` does not
    mention it. Whatever cannot be imported is found in any case, and of a written file even if it could not be before:
    then Airflow knows no DAG of it any more, and the file need not say that it defines some.

    Args:
        plan: What was done.
        tree: What it was done for.
        before: What Airflow said before.
        dags: DAG id → structure, where the tests of the DAGs found them in these very files.
        resumed: A release that was interrupted went before, and what failed before it is not known, so errors of these
            files may be of its making. Files that are there already say so as well.
    """
    written = {
        row.key.removeprefix(DAGS_PREFIX): tree.files[row.key]
        for row in plan.rows
        if row.action in _WRITES and row.key in tree.files and row.key.endswith(".py")
    }
    had_dags = {dag.file for dag in before.dags.values()}
    named = frozenset(written) & _files_of(dags)
    guessed = _guessed(written, tree) if dags is None else frozenset()
    zips = {row.key.removeprefix(DAGS_PREFIX) for row in plan.rows if row.action in _WRITES and not _goes(row)}
    affected = importers_of(tree.imports, written) | _in_zips(zips, before)
    adopts = any(row.action is Action.ADOPT for row in plan.rows)
    changed = frozenset(written) & (had_dags | named | guessed)
    return Expectation(
        changed={path: written[path].read().decode(errors="replace") for path in sorted(changed)},
        affected=affected,
        removed=removed_files(plan, before),
        defining=named,
        blamed=affected.union(written) if resumed or adopts else _importable(frozenset(written), dags),
        settles=_settles(plan, proven=changed & (had_dags | named)),
    )


def of_rollback(
    plan: Plan, back: Tree, before: Seen, *, dags: Mapping[str, Dag] | None = None, resumed: bool = False
) -> Expectation:
    """Expect of restored files what `of_deploy` expects of written ones, as far as their old texts are at hand.

    Those that are not are to be parsed again. What imports a restored file is not known, so time must prove it.

    Args:
        plan: What was done.
        back: The restored files; see `restored.py`.
        before: What Airflow said before.
        dags: DAG id → structure, where the restored release knows them: a restored file has its DAGs again.
        resumed: As for `of_deploy`.
    """
    restored = frozenset(row.key.removeprefix(DAGS_PREFIX) for row in plan.rows if row.action is Action.RESTORE)
    found = of_deploy(plan, back, before, dags=dags, resumed=resumed)
    return replace(
        found,
        affected=found.affected | (restored - found.changed.keys()),
        defining=restored & _files_of(dags),
        blamed=found.blamed | (restored if resumed else _importable(restored, dags)),
        settles=_settles(plan, proven=frozenset()),
    )


def left_by(pointer: Pointer, age: timedelta, within: float, *, remains: bool) -> frozenset[str] | None:
    """The files that failed before a release whose errors Airflow may still show; None when there is none, or unknown.

    | the release before                 | its errors may be there still                                       |
    | ---------------------------------- | ------------------------------------------------------------------- |
    | ended                              | no: what fails now failed in it                                     |
    | did not end, and something remains | yes, for as long as it does                                         |
    | did not end, or was taken back     | until Airflow has certainly copied and parsed what was put in place |

    Args:
        pointer: As it was before this release.
        age: How long ago it was written.
        within: Seconds that Airflow may take for that.
        remains: The environment is not as the current release says.
    """
    if pointer.failing is None or not ((pointer.unfinished and remains) or age < timedelta(seconds=within)):
        return None
    return frozenset(pointer.failing)


def without(before: Seen, failed_earlier: Collection[str] | None, plan: Plan) -> Seen:
    """What Airflow said before, but for the import errors that a release before may have left.

    Those of files that are not there afterwards stay: Airflow may take minutes to forget a file that is gone.

    Args:
        before: What Airflow says.
        failed_earlier: Files that failed before that release, whose errors are old; None when there was none.
        plan: What is done.
    """
    if failed_earlier is None:
        return before
    stay = {row.key.removeprefix(DAGS_PREFIX) for row in plan.rows if not _goes(row)}
    old = {file: trace for file, trace in before.errors.items() if file in failed_earlier or file not in stay}
    return replace(before, errors=old)


def _goes(row: Row) -> bool:
    return row.action is Action.DELETE or (row.action is Action.ADOPT and row.expected == ABSENT)


def _settles(plan: Plan, proven: Collection[str]) -> bool:
    """Whether Airflow gets anything new whose coming its DAGs do not show: `_release.json`, what DAGs read, deletions.

    A DAG file whose DAGs were parsed from its new text has come, and breaks no other: what imports it is waited for.
    """
    keys = {f"{DAGS_PREFIX}{path}" for path in proven}
    unproven = [row for row in plan.changes if row.key not in keys or row.action not in _WRITES]
    return bool(unproven or plan.part_changes)


def _files_of(dags: Mapping[str, Dag] | None) -> frozenset[str]:
    return frozenset(dag.file for dag in (dags or {}).values())


def _importable(files: frozenset[str], dags: Mapping[str, Dag] | None) -> frozenset[str]:
    """Those that must be imported without an error: a helper that was tested and defines no DAG may never have been."""
    return files if dags is None else files & _files_of(dags)


def _guessed(written: Mapping[str, Source], tree: Tree) -> frozenset[str]:
    """Written files whose text says that they define DAGs."""
    ignored = _ignore_patterns(tree)
    imported = frozenset().union(*tree.imports.values()) if tree.imports else frozenset()
    return frozenset(
        path
        for path, source in written.items()
        if path not in imported and not perhaps_ignored(path, ignored) and names_dag(source.read())
    )


def removed_files(plan: Plan, before: Seen) -> frozenset[str]:
    """Python files the plan deletes, and those in zip files it deletes, by their path below the DAG folder."""
    deleted = {row.key.removeprefix(DAGS_PREFIX) for row in plan.rows if row.action is Action.DELETE}
    return frozenset(path for path in deleted if path.endswith(".py")) | _in_zips(deleted, before)


def _in_zips(paths: Collection[str], before: Seen) -> frozenset[str]:
    """The files in which Airflow had found DAGs, as far as they lie in a zip file among the paths."""
    return frozenset(
        dag.file for dag in before.dags.values() if (at := dag.file.find(".zip")) >= 0 and dag.file[: at + 4] in paths
    )


def names_dag(source: bytes) -> bool:
    """Whether a file imports `DAG` or `dag` from Airflow, or uses them as `airflow.DAG`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True  # it will show as an import error, which is waited for as well
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "airflow":
            if any(alias.name in ("DAG", "dag") for alias in node.names):
                return True
        elif isinstance(node, ast.Attribute) and node.attr == "DAG":
            return True
    return False


def perhaps_ignored(path: str, patterns: Collection[str]) -> bool:
    """Whether a line of `.airflowignore` may mean this file.

    Generous on purpose: a wrong yes only means that a new file is not waited for; a wrong no would fail a good release.
    """
    parts = PurePosixPath(path).parts
    starts = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(
        fnmatchcase(candidate, f"*{pattern.strip('/')}*") for pattern in patterns for candidate in (*parts, *starts)
    )


def _ignore_patterns(tree: Tree) -> list[str]:
    files = [source for key, source in tree.files.items() if key.endswith("/.airflowignore")]
    lines = [line.strip() for source in files for line in source.read().decode(errors="replace").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "!"))]
