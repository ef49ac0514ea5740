"""What a release would change, for whoever has to approve it. Pure.

It compares files, task definitions, parts and drift. DAGs' tasks and schedules are not compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.release.plan import Plan, TaskRow
from pipeline.release.record import FileRecord, ReleaseRecord
from pipeline.release.tree import PART_KEYS, Source


@dataclass(frozen=True)
class Dossier:
    """The difference between the release that runs and the working tree.

    Attributes:
        drift: Key → what somebody did by hand since the last release; a deploy undoes it.
        parts: Key of requirements, plugins or startup script → reason. If there is one, the workers are replaced.
    """

    environment: str
    running: ReleaseRecord | None
    commit: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    drift: Mapping[str, str]
    tasks: tuple[TaskRow, ...]
    parts: Mapping[str, str]

    @property
    def replaces_workers(self) -> bool:
        """Whether MWAA replaces its workers."""
        return bool(self.parts)

    @property
    def is_empty(self) -> bool:
        """Whether a deploy would do nothing."""
        return not (self.added or self.removed or self.changed or self.drift or self.tasks or self.parts)

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "environment": self.environment,
            "running": {"release": self.running.id, "commit": self.running.commit} if self.running else None,
            "commit": self.commit,
            "dags": {"added": list(self.added), "removed": list(self.removed), "changed": list(self.changed)},
            "drift": dict(self.drift),
            "task_definitions": [
                {"container": row.container, "before": row.before, "after": row.after} for row in self.tasks
            ],
            "parts": dict(self.parts),
            "replaces_workers": self.replaces_workers,
        }


def compare(plan: Plan, wanted: Mapping[str, Source], running: ReleaseRecord | None, commit: str) -> Dossier:
    """The dossier of a plan. It compares releases; the bucket matters only for drift."""
    left_alone = {row.key for row in plan.rows if row.action.value == "leave alone"}
    recorded: Mapping[str, FileRecord] = running.files if running else {}
    before = {key: file.sha256 for key, file in recorded.items() if key not in left_alone}
    after = {key: source.sha256 for key, source in wanted.items() if key not in left_alone}
    return Dossier(
        environment=plan.environment,
        running=running,
        commit=commit,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(key for key in before.keys() & after.keys() if before[key] != after[key])),
        drift={row.key: row.reason for row in plan.rows if row.drift},
        tasks=plan.tasks,
        parts={PART_KEYS[row.name]: row.reason for row in plan.part_changes},
    )


def text(dossier: Dossier) -> Iterator[str]:
    """For people, line by line."""
    running = dossier.running
    now = f"runs {running.id} (commit {running.commit[:10]})" if running else "runs no release yet"
    yield f"{dossier.environment} {now}; this is commit {dossier.commit[:10]}"
    if dossier.is_empty:
        yield "no difference"
        return
    for title, keys in (("added", dossier.added), ("removed", dossier.removed), ("changed", dossier.changed)):
        for key in keys:
            yield f"  {title:<8} {key}"
    for key, reason in dossier.drift.items():
        yield f"  drift    {key}: {reason}"
    for row in dossier.tasks:
        yield f"  task     {row.container}: {_short(row.before)} → {_short(row.after)}"
    for key, reason in dossier.parts.items():
        yield f"  airflow  {key}: {reason}"
    yield "  workers  will be replaced" if dossier.replaces_workers else "  workers  stay"


def _short(arn: str | None) -> str:
    return arn.rpartition("/")[2] if arn else "none"
