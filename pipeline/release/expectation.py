"""What a plan should bring about in Airflow. Pure."""

import ast
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pipeline.release.imports import importers_of
from pipeline.release.plan import Action, Plan
from pipeline.release.tree import DAGS_PREFIX, Tree
from pipeline.release.verify import Expectation, Seen

_WRITES = (Action.UPLOAD, Action.ADOPT, Action.RESTORE)


def of_deploy(plan: Plan, tree: Tree, before: Seen) -> Expectation:
    """Expect every DAG file that was written, every DAG that imports something written, and no DAG of a deleted file.

    A file defines DAGs when Airflow had found some in it, or, for a new one, when it says so itself: it imports `DAG`
    or `dag` from Airflow, nothing imports it, and `.airflowignore` does not mention it. A new file that makes its
    DAGs in another way is not waited for; if it cannot be imported, that is still found.
    """
    written = {
        row.key.removeprefix(DAGS_PREFIX): tree.files[row.key]
        for row in plan.rows
        if row.action in _WRITES and row.key in tree.files and row.key.endswith(".py")
    }
    had_dags = {dag.file for dag in before.dags.values()}
    ignored = _ignore_patterns(tree)
    imported = frozenset().union(*tree.imports.values()) if tree.imports else frozenset()
    changed: dict[str, str] = {}
    for path, source in written.items():
        content = source.read()
        new_dag_file = path not in imported and not perhaps_ignored(path, ignored) and names_dag(content)
        if path in had_dags or new_dag_file:
            changed[path] = content.decode(errors="replace")
    return Expectation(
        changed=changed,
        affected=importers_of(tree.imports, written) - set(changed),
        removed=removed_files(plan),
    )


def of_rollback(plan: Plan) -> Expectation:
    """Expect restored files to be parsed again, and no DAG of a deleted file. The old texts are in S3 only."""
    restored = {row.key.removeprefix(DAGS_PREFIX) for row in plan.rows if row.action is Action.RESTORE}
    return Expectation(affected=frozenset(restored), removed=removed_files(plan))


def removed_files(plan: Plan) -> frozenset[str]:
    """Python files the plan deletes, by their path below the DAG folder."""
    return frozenset(
        row.key.removeprefix(DAGS_PREFIX)
        for row in plan.rows
        if row.action is Action.DELETE and row.key.endswith(".py")
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
