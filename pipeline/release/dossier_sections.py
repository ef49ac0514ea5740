"""A dossier as a headline and sections of lines: what its text and its page both show. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.release.dossier import Dossier
from pipeline.release.structure import DagChange

_SUMMARY = 700  # characters: an approval's text holds 1,000, and says other things as well (CodePipeline API)
_SHOWN = 50  # lines of one kind


@dataclass(frozen=True)
class Section:
    """A part of the dossier.

    Attributes:
        title: What it is about.
        state: In a few words what is in it.
        lines: The rest; a line that starts with two spaces belongs to the one above.
        warns: Something to look at before approving.
    """

    title: str
    state: str
    lines: tuple[str, ...] = ()
    warns: bool = False


def headline(dossier: Dossier) -> str:
    """What this is about, in one line."""
    running = dossier.running
    if running is not None:
        now = f"runs {running.id} (commit {running.commit[:10]})"
    elif dossier.unread:
        now = "could not be read"
    else:
        now = "runs no release yet" if dossier.deployed else "is not deployed yet"
    return f"{dossier.environment} {now}; this is commit {dossier.commit[:10]}"


def summary(dossier: Dossier) -> str:
    """All sections in one line, for the text of an approval."""
    said = "; ".join(f"{section.title.lower()}: {section.state}" for section in sections(dossier))
    text = f"{headline(dossier)}. {said}."
    return text if len(text) <= _SUMMARY else f"{text[: _SUMMARY - 1]}…"


def sections(dossier: Dossier) -> tuple[Section, ...]:
    """Every section, the same ones in the same order always: what is not there is said not to be."""
    found = [
        *_environment(dossier),
        _commits(dossier),
        _dags(dossier),
        _images(dossier),
        _workers(dossier),
        _drift(dossier),
        _tests(dossier),
        _in_flight(dossier),
    ]
    return tuple(found)


def _environment(dossier: Dossier) -> Iterator[Section]:
    if not dossier.deployed:
        yield Section("Environment", "comes with this commit: all that follows is new")
    if dossier.unread:
        lines = (*dossier.unread.splitlines(), "If it is not deployed yet, all that follows is new.")
        yield Section("Environment", "could not be read", lines, warns=True)


def _commits(dossier: Dossier) -> Section:
    found = dossier.commits
    if found is None and dossier.running is None and not dossier.commits_unknown:
        return Section("Commits", "all of them, for nothing runs yet")
    if found is None:
        return Section("Commits", f"not known: {dossier.commits_unknown}" if dossier.commits_unknown else "not known")
    lines = [f"{each.id[:10]}  {each.day}  {each.author}: {each.title}" for each in found.added[:_SHOWN]]
    lines += _more(len(found.added))
    if found.taken_back:
        lines.append("Taken back, because this commit's history does not have them:")
        lines += [f"  {each.id[:10]}  {each.day}  {each.author}: {each.title}" for each in found.taken_back[:_SHOWN]]
    people = _number(len(found.authors), "author")
    state = f"{'' if found.complete else 'at least '}{_number(len(found.added), 'commit')} by {people}"
    if found.taken_back:
        state += f", {len(found.taken_back)} taken back"
    return Section(
        "Commits", state if found.added or found.taken_back else "none", tuple(lines), bool(found.taken_back)
    )


def _dags(dossier: Dossier) -> Section:
    files = dossier.files
    names = (("new file", files.added), ("removed file", files.removed), ("changed file", files.changed))
    file_lines = [f"{what} {path}" for what, paths in names for path in paths[:_SHOWN]]
    in_files = _counts(("added", files.added), ("removed", files.removed), ("changed", files.changed))
    if dossier.dags is None:
        state = f"structures not known; files: {in_files}" if files.count else "no file differs"
        return Section("DAGs", state, tuple(file_lines))
    found = dossier.dags
    lines = [
        line
        for what, changes in (("new", found.added), ("removed", found.removed), ("changed", found.changed))
        for change in changes
        for line in _dag(what, change)
    ]
    state = _counts(("added", found.added), ("removed", found.removed), ("changed", found.changed))
    return Section("DAGs", state, (*lines, *file_lines), warns=bool(found.removed))


def _dag(what: str, change: DagChange) -> Iterator[str]:
    yield f"{what} DAG {change.dag_id}"
    yield from (f"  {line}" for line in change.lines)


def _images(dossier: Dossier) -> Section:
    if dossier.images is None:
        return Section("Images", "not known: no step left images.json")
    lines = []
    for image in dossier.images:
        size = f", {image.size / 1e6:.0f} MB" if image.size else ""
        tags = " → ".join(filter(None, (image.before, image.after or "none")))
        lines.append(f"{image.container}: {tags}{size}")
        if image.reason:
            lines.append(f"  {image.reason}")
    names = ", ".join(image.container for image in dossier.images)
    return Section("Images", f"{len(dossier.images)} differ ({names})" if names else "as they are", tuple(lines))


def _workers(dossier: Dossier) -> Section:
    lines = [f"{key}: {reason}" for key, reason in dossier.parts.items()]
    lines += [f"  {line}" for line in dossier.requirements]
    if not dossier.replaces_workers:
        return Section("Workers", "stay; requirements, plugins and startup script are as they are")
    how = {"GRACEFUL": "tasks in flight may end, for up to 12 h", "FORCED": "tasks in flight are ended"}
    state = f"will be replaced ({dossier.replacement}: {how.get(dossier.replacement, '')})"
    return Section("Workers", state, tuple(lines), warns=True)


def _drift(dossier: Dossier) -> Section:
    lines = tuple(f"{key}: {reason}" for key, reason in dossier.drift.items())
    state = f"{_number(len(lines), 'file')} changed by hand, which the release undoes" if lines else "none"
    return Section("Drift", state, lines, warns=bool(lines))


def _tests(dossier: Dossier) -> Section:
    if not dossier.tests:
        return Section("Tests", "not known: no step left a report")
    lines = []
    for each in dossier.tests:
        lines.append(f"{each.name}: {each.passed} passed, {each.failed} failed, {each.skipped} skipped")
        lines += [f"  failed: {name}" for name in each.failures]
    passed, failed, skipped = (
        sum(getattr(each, kind) for each in dossier.tests) for kind in ("passed", "failed", "skipped")
    )
    state = f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
    return Section("Tests", state, tuple(lines), warns=failed > 0)


def _in_flight(dossier: Dossier) -> Section:
    found = dossier.in_flight
    if found.unknown:
        return Section("In flight", f"not known: {found.unknown.splitlines()[0]}")
    runs, tasks = sum(found.runs.values()), sum(found.tasks.values())
    lines = tuple(
        f"{dag}: {_number(found.runs.get(dag, 0), 'run')}, {_number(found.tasks.get(dag, 0), 'task')}"
        for dag in sorted({*found.runs, *found.tasks})
    )
    state = f"{_number(runs, 'DAG run')}, {_number(tasks, 'task')}" if lines else "nothing"
    return Section("In flight", state, lines, warns=bool(tasks) and dossier.replaces_workers)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _counts(*kinds: tuple[str, Sequence[object]]) -> str:
    return ", ".join(f"{len(items)} {what}" for what, items in kinds if items) or "as they are"


def _more(count: int) -> list[str]:
    return [f"… and {count - _SHOWN} more"] if count > _SHOWN else []
