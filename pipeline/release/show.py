"""Plans and histories as lines and documents. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.release.plan import Action, Plan
from pipeline.release.record import ReleaseRecord
from pipeline.release.tree import PART_KEYS

UNLESS_PINNED = "; not if it runs with these versions already"
_ROWS_SHOWN = 200  # of one action: a first release of thousands of files needs no line for each


def plan_lines(plan: Plan, replacement: str) -> Iterator[str]:
    """A plan as a table: what, where, why; unchanged files as a number."""
    width = max((len(row.key) for row in plan.changes), default=0)
    shown: dict[Action, int] = {}
    for row in plan.changes:
        shown[row.action] = shown.get(row.action, 0) + 1
        if shown[row.action] <= _ROWS_SHOWN or row.drift:
            yield f"  {row.action.value:<8} {row.key:<{width}}  {'drift: ' if row.drift else ''}{row.reason}"
    for action, count in shown.items():
        if count > _ROWS_SHOWN:
            yield f"  {action.value:<8} … {count} in all"
    for part in plan.part_changes:
        yield f"  {part.action.value:<8} {PART_KEYS[part.name]}  {part.reason}"
    for task in plan.tasks:
        yield f"  task     {task.container}: {_revision(task.before)} → {_revision(task.after)}"
    for action in (Action.KEEP, Action.LEAVE):
        if count := plan.count(action):
            yield f"  {action.value:<8} {count} {'file' if count == 1 else 'files'}"
    if plan.part_changes:
        unless = UNLESS_PINNED if plan.replaces_workers is None else ""
        yield f"  MWAA will replace its workers ({replacement}), {_when(plan)}{unless}"


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan for machines."""
    return {
        "environment": plan.environment,
        "base": plan.base,
        "empty": plan.is_empty,
        "rows": [
            {"action": row.action.value, "key": row.key, "reason": row.reason, "drift": row.drift, "phase": row.phase}
            for row in plan.changes
        ],
        "parts": [
            {"action": part.action.value, "key": PART_KEYS[part.name], "reason": part.reason}
            for part in plan.part_changes
        ],
        "task_definitions": [
            {"container": task.container, "before": task.before, "after": task.after} for task in plan.tasks
        ],
        "kept": plan.count(Action.KEEP),
        "left_alone": plan.count(Action.LEAVE),
        "replaces_workers": plan.replaces_workers,
        "parts_last": plan.parts_last,
    }


def history_lines(releases: Sequence[ReleaseRecord], current: str | None) -> Iterator[str]:
    """Releases, newest first; `*` marks the one that runs."""
    for release in releases:
        mark = "*" if release.id == current else " "
        what = f"rollback to {release.restores}" if release.kind == "rollback" else "deploy"
        what += " with uncommitted changes" if release.uncommitted else ""
        proof = "verified" if release.verified else "not verified"
        commit, files = release.commit[:10], len(release.files)
        yield f"{mark} {release.id}  {commit:<10}  {what}, {proof}, {files} files, by {release.by}"


def history_document(releases: Sequence[ReleaseRecord], current: str | None) -> list[dict[str, Any]]:
    """Releases for machines."""
    return [
        release.model_dump(mode="json", exclude={"files"})
        | {"current": release.id == current, "file_count": len(release.files)}
        for release in releases
    ]


def _when(plan: Plan) -> str:
    if not any(row.action in (Action.UPLOAD, Action.RESTORE, Action.DELETE) for row in plan.rows):
        return "which takes a while"
    if plan.parts_last:
        return "once the DAG files are back: these take seconds, the workers a while"
    return "which takes a while, and only then the DAG files follow"


def _revision(arn: str | None) -> str:
    return arn.rpartition("/")[2] if arn else "none"
