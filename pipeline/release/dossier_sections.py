"""A dossier as sections of lines: what its text and its page both show. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.release.commits import Commit
from pipeline.release.dossier import Dossier, ImageChange
from pipeline.release.show import UNLESS_PINNED
from pipeline.release.structure import DagChange
from pipeline.release.tree import PART_KEYS

_SHOWN = 50  # items of one kind
_NAMED = 5  # items in a line
_ROWS, _LONGEST_ROW = 3, 80  # rows of a table in a line, and signs of each
_TAG = 12  # signs of a content tag: enough to tell two apart
_UNREAD = "not known"  # the section of the environment says why


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


def sections(dossier: Dossier) -> tuple[Section, ...]:
    """Every section, the same ones in the same order always: what is not there is said not to be.

    First what the release changes, in the order in which people notice; then what speaks for it; then its details.
    """
    return (
        *_environment(dossier),
        _dags(dossier),
        _images(dossier),
        _stacks(dossier),
        _workers(dossier),
        _in_flight(dossier),
        _drift(dossier),
        _tests(dossier),
        _commits(dossier),
        _files(dossier),
    )


def moment(time: datetime) -> str:
    """`2026-11-07 10:15 UTC`: readers are in several time zones."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def one_line(text: str) -> str:
    """A text from elsewhere, such as an error of git's, without its line ends."""
    return " ".join(text.split())


def _environment(dossier: Dossier) -> Iterator[Section]:
    if not dossier.deployed:
        yield Section("Environment", "comes with this commit: all that follows is new")
    if dossier.unread:
        lines = (*dossier.unread.splitlines(), "If it is not deployed yet, all that is in this commit is new.")
        yield Section("Environment", "could not be read, so what would change is not known", lines, warns=True)


def _dags(dossier: Dossier) -> Section:
    found = dossier.dags
    if found is None:
        return Section("DAGs", "not known: no test of the DAGs left the structures of both releases")
    if dossier.unread:
        return Section("DAGs", f"{_UNREAD}; this commit has {len(found.added)}", tuple(_several("", found.added)))
    lines = [
        # What is lost comes first: it must not be overlooked below what is new.
        *_several("removed ", found.removed),
        *_several("changed ", found.changed),
        *_several("new ", found.added),
    ]
    state = _counts(("removed", found.removed), ("changed", found.changed), ("added", found.added))
    return Section("DAGs", state, tuple(lines), warns=bool(found.removed))


def _several(what: str, changes: Sequence[DagChange]) -> Iterator[str]:
    for change in changes[:_SHOWN]:
        yield f"{what}DAG {change.dag_id}"
        yield from (f"  {line}" for line in change.lines)
    yield from _more(changes)


def _images(dossier: Dossier) -> Section:
    found = dossier.images
    if found is None:
        return Section("Images", f"not known: {dossier.images_unknown}")
    lines = [line for image in found for line in _image(image, is_compared=not dossier.unread)]
    names = f" ({_names([image.container for image in found])})" if found else ""
    if dossier.unread:
        return Section("Images", f"{_UNREAD}; this commit has {len(found)}{names}", tuple(lines))
    gone = [image for image in found if image.after is None]
    new = [image for image in found if image.after is not None and image.before is None]
    changed = [image for image in found if image.after is not None and image.before is not None]
    state = _counts(("new", new), ("changed", changed), ("gone", gone))
    return Section("Images", f"{state}{names}", tuple(lines), warns=bool(gone))


def _image(image: ImageChange, *, is_compared: bool) -> Iterator[str]:
    before, after = ((tag or "none")[:_TAG] for tag in (image.before, image.after))
    size = f", {image.size / 1e6:.0f} MB" if image.size else ""
    yield f"{image.container}: {f'{before} → ' if is_compared else ''}{after}{size}"
    if image.reason:
        yield f"  {image.reason}"


def _stacks(dossier: Dossier) -> Section:
    stacks = (("Airflow", dossier.stacks.airflow), ("tasks", dossier.stacks.tasks))
    if dossier.unread:
        return Section("Stacks", _UNREAD)
    if not dossier.deployed:
        return Section("Stacks", "come with this commit")
    known = [f"{_number(len(each.changes), 'setting')} of {what}" for what, each in stacks if each.changes]
    unknown = [f"of {what} not known: {one_line(each.unknown)}" for what, each in stacks if each.unknown]
    if not known and not unknown:
        return Section("Stacks", "change neither Airflow's version, class, workers or options, nor what tasks declare")
    rows, lines = [f"{each.what}: {each.before} → {each.after}" for each in dossier.stacks.changes], []
    for row, change in zip(rows[:_SHOWN], dossier.stacks.changes, strict=False):
        lines.append(row)
        if change.replaces_workers:
            lines.append(f"  for this MWAA replaces its workers ({_replacement(dossier)})")
    lines += _more(rows)
    # Of an approval people often read the summary alone, which has no lines: the first rows stand there, too.
    named = _names([row if len(row) <= _LONGEST_ROW else f"{row[:_LONGEST_ROW]}…" for row in rows], most=_ROWS)
    state = "; ".join([*([f"change {' and '.join(known)} ({named})"] if known else []), *unknown])
    return Section("Stacks", state, tuple(lines), warns=dossier.stacks.replaces_workers is True)


def _workers(dossier: Dossier) -> Section:
    if dossier.parts is None:
        return Section("Workers", _UNREAD)
    lines = []
    for key, reason in dossier.parts.items():
        lines.append(f"{key}: {reason}")
        if key == PART_KEYS["requirements"]:
            lines += [f"  {line}" for line in dossier.requirements or ()]
    if not lines and dossier.deployed:
        return _workers_by_stacks(dossier.stacks.replaces_workers)
    if not dossier.deployed:
        more = "; the first release replaces them once, for this" if lines else ""
        return Section("Workers", f"come with this commit{more}", tuple(lines))
    state = f"will be replaced ({_replacement(dossier)}){UNLESS_PINNED if dossier.pinned else ''}"
    if dossier.stacks.replaces_workers:
        state += ", and before that for what the stacks change of Airflow"
    return Section("Workers", state, tuple(lines), warns=True)


def _replacement(dossier: Dossier) -> str:
    how = {"GRACEFUL": "tasks in flight can end, for up to 12 h", "FORCED": "tasks in flight are ended"}
    return f"{dossier.replacement}: {how.get(dossier.replacement, '')}"


def _workers_by_stacks(replaces: bool | None) -> Section:
    """Where requirements, plugins and startup script are as they are."""
    if replaces:
        return Section("Workers", "will be replaced, for what the stacks change of Airflow", warns=True)
    if replaces is None:
        state = "stay for requirements, plugins and startup script; whether Airflow's settings change is not known"
        return Section("Workers", state)
    return Section("Workers", "stay: requirements, plugins, startup script and Airflow's settings are as they are")


def _in_flight(dossier: Dossier) -> Section:
    found, replaced = dossier.in_flight, bool(dossier.parts) or dossier.replaces_workers is True
    if dossier.unread:
        return Section("In flight", _UNREAD)
    if found.unknown:
        return Section("In flight", f"not known: {found.unknown.splitlines()[0]}", warns=replaced)
    runs, tasks = sum(found.runs.values()), sum(found.tasks.values())
    lines = [
        f"{dag}: {_number(found.runs.get(dag, 0), 'run')}, {_number(found.tasks.get(dag, 0), 'task')}"
        for dag in sorted({*found.runs, *found.tasks})
    ]
    state = f"{_number(runs, 'DAG run')}, {_number(tasks, 'task')}" if lines else "nothing"
    return Section("In flight", state, tuple(_shown(lines)), warns=bool(tasks) and replaced)


def _drift(dossier: Dossier) -> Section:
    if dossier.drift is None:
        return Section("Drift", _UNREAD)
    lines = [f"{key}: {reason}" for key, reason in dossier.drift.items()]
    state = f"{_number(len(lines), 'file')} changed by hand, which the release undoes" if lines else "none"
    return Section("Drift", state, tuple(_shown(lines)), warns=bool(lines))


def _tests(dossier: Dossier) -> Section:
    if not dossier.tests:
        return Section("Tests", "not known: no step left a report")
    lines = []
    for each in dossier.tests:
        age = "; older than the files here" if each.older else ""
        lines.append(f"{each.name}: {each.passed} passed, {each.failed} failed, {each.skipped} skipped{age}")
        lines += [f"  failed: {name}" for name in each.failures]
        if (unnamed := each.failed - len(each.failures)) > 0:
            lines.append(f"  … and {unnamed} more")
    fresh = [each for each in dossier.tests if not each.older]
    if not fresh:
        return Section("Tests", "not known: the reports are older than the files here", tuple(lines), warns=True)
    passed, failed, skipped = (sum(getattr(each, kind) for each in fresh) for kind in ("passed", "failed", "skipped"))
    state = f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
    if old := len(dossier.tests) - len(fresh):
        state += f"; {_number(old, 'report')} older than the files here"
    return Section("Tests", state, tuple(lines), warns=failed > 0 or old > 0)


def _commits(dossier: Dossier) -> Section:
    found = dossier.commits
    if dossier.unread:
        return Section("Commits", _UNREAD)
    if found is None and dossier.running is None and not dossier.commits_unknown:
        return Section("Commits", "all of them, for nothing runs yet")
    if found is None:
        why = one_line(dossier.commits_unknown)
        return Section("Commits", f"not known: {why}" if why else "not known")
    lines = [line for each in found.added[:_SHOWN] for line in _commit(each)]
    lines += _more(found.added)
    if found.taken_back:
        taken_back = [line for each in found.taken_back[:_SHOWN] for line in _commit(each)]
        head = "Taken back, because this commit's history does not have them:"
        lines = [head, *taken_back, *_more(found.taken_back), *(["Added:", *lines] if lines else [])]
    people = _number(len(found.authors), "author")
    state = f"{'' if found.complete else 'at least '}{_number(len(found.added), 'commit')} by {people}"
    if found.taken_back:
        state += f", {len(found.taken_back)} taken back"
    return Section(
        "Commits", state if found.added or found.taken_back else "none", tuple(lines), bool(found.taken_back)
    )


def _commit(commit: Commit) -> Iterator[str]:
    yield commit.title.strip() or "without a title"
    yield f"  {commit.author}, {moment(datetime.fromtimestamp(commit.time, UTC))}, {commit.id[:10]}"


def _files(dossier: Dossier) -> Section:
    files = dossier.files
    if dossier.unread:
        return Section("Files", f"{_UNREAD}; this commit has {len(files.added)}")
    kinds = (("removed", files.removed), ("changed", files.changed), ("new", files.added))
    lines = [line for what, paths in kinds for line in _shown([f"{what} file {path}" for path in paths])]
    state = _counts(("removed", files.removed), ("changed", files.changed), ("added", files.added))
    return Section("Files", state, tuple(lines))


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _counts(*kinds: tuple[str, Sequence[object]]) -> str:
    return ", ".join(f"{len(items)} {what}" for what, items in kinds if items) or "as they are"


def _names(names: Sequence[str], most: int = _NAMED) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _shown(lines: Sequence[str]) -> list[str]:
    return [*lines[:_SHOWN], *_more(lines)]


def _more(items: Sequence[object]) -> list[str]:
    return [f"… and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
