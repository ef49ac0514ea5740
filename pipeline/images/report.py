"""Plans and outcomes for people and for machines: tables, one line, JSON. Pure: values in, text out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.images.checks.finding import Finding
from pipeline.images.outcome import Built, Failed, Outcome, Skipped
from pipeline.images.plan import Plan, Rebuild, UpToDate
from pipeline.images.prune import PrunePlan

NOTHING = "no containers"

# What each kind of outcome is called, in the order of the summary.
_WORDS: tuple[tuple[type[Outcome], str], ...] = (
    (Built, "built"),
    (Failed, "failed"),
    (Skipped, "skipped"),
    (UpToDate, "up to date"),
)


def plan_document(plan: Plan) -> list[dict[str, Any]]:
    """A plan as JSON: all reasons, not only the first."""
    return [
        {
            "name": verdict.name,
            "tag": verdict.tag,
            "verdict": "rebuild" if isinstance(verdict, Rebuild) else "up to date",
            "reasons": list(verdict.reasons) if isinstance(verdict, Rebuild) else [],
            "digest": verdict.image.digest if isinstance(verdict, UpToDate) else None,
        }
        for verdict in plan.verdicts
    ]


def plan_lines(plan: Plan) -> list[str]:
    """A plan as a table for people, or that there is nothing to plan."""
    if not plan.verdicts:
        return [NOTHING]
    width = max((len(verdict.name) for verdict in plan.verdicts), default=0)
    return [
        f"{verdict.name:<{width}}  {'rebuild   ' if isinstance(verdict, Rebuild) else 'up to date'}  {verdict.tag}  "
        f"{verdict.reason}"
        for verdict in plan.verdicts
    ]


def prune_document(plan: PrunePlan, failed: Mapping[str, str], *, dry_run: bool) -> dict[str, Any]:
    """What goes and what stays as JSON; `failed` (digest → why) is what the registry did not delete."""
    return {
        "dry_run": dry_run,
        "images": [
            {
                "name": row.name,
                "tags": list(row.image.tags),
                "digest": row.image.digest,
                "size": row.image.size,
                "pushed": row.image.pushed.isoformat(),
                "verdict": "delete" if row.goes else "keep",
                "reason": row.reason,
                "failed": failed.get(row.image.digest),
            }
            for row in plan.rows
        ],
        "freed": plan.freed,
    }


def prune_lines(plan: PrunePlan) -> list[str]:
    """The same as a table for people, and its sum."""
    cells = [
        (row.name, "delete" if row.goes else "keep", row.image.tags[0], f"{row.image.size / 1e6:.1f} MB", row.reason)
        for row in plan.rows
    ]
    name, tag, size = (max((len(cell[at]) for cell in cells), default=0) for at in (0, 2, 3))
    rows = [
        f"{each[0]:<{name}}  {each[1]:<6}  {each[2]:<{tag}}  {each[3]:>{size}}  {each[4]}".rstrip() for each in cells
    ]
    total = f"{len(plan.deletions)} of {len(plan.rows)} images to delete: at most {plan.freed / 1e6:.1f} MB"
    return [*rows, total]


def images_document(
    outcomes: Sequence[Outcome],
    scans: Mapping[str, Sequence[Finding]] | None = None,
    bases: Collection[str] = (),
) -> list[dict[str, Any]]:
    """`images.json`: an entry for each container; digest and size are null for what is not in the registry.

    Args:
        outcomes: In the order of the entries.
        scans: Container → findings of the registry's scan.
        bases: The containers that run as no task: others are only based on them.
    """
    scans = scans or {}
    return [{**_entry(outcome, scans.get(outcome.name, ())), "task": outcome.name not in bases} for outcome in outcomes]


def findings_document(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON."""
    return [
        {"check": each.check, "where": each.where, "what": each.what, "denied": each.denied, "mend": each.mend}
        for each in findings
    ]


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line: `2 built (base, report), 1 up to date (ingest)`."""
    parts = []
    for kind, word in _WORDS:
        names = [outcome.name for outcome in outcomes if isinstance(outcome, kind)]
        if names:
            parts.append(f"{len(names)} {word} ({', '.join(names)})")
    return ", ".join(parts) or NOTHING


def _entry(outcome: Outcome, scan: Sequence[Finding]) -> dict[str, Any]:
    image = outcome.image if isinstance(outcome, UpToDate | Built) else None
    found = outcome.findings if isinstance(outcome, Built | Failed) else ()
    return {
        "name": outcome.name,
        "tag": outcome.tag,
        "digest": image.digest if image else None,
        "size": image.size if image else None,
        "result": next(word for kind, word in _WORDS if isinstance(outcome, kind)),
        "reason": f"its base {outcome.base} failed" if isinstance(outcome, Skipped) else outcome.reason,
        "seconds": round(outcome.seconds, 1) if isinstance(outcome, Built | Failed) else 0,
        "findings": findings_document([*found, *scan]),
    }
