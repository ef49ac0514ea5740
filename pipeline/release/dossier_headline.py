"""A dossier in a line, and what stands above its sections. Pure."""

from pipeline.names import LONGEST_SUMMARY
from pipeline.release.dossier import Dossier
from pipeline.release.dossier_sections import moment, one_line, sections
from pipeline.release.plain import plain


def headline(dossier: Dossier) -> str:
    """What this is about, in one line."""
    running = dossier.running
    if running is not None:
        now = f"runs {running.id} ({_commit(running.commit, uncommitted=running.uncommitted)})"
    elif dossier.unread:
        now = "could not be read"
    else:
        now = "runs no release yet" if dossier.deployed else "is not deployed yet"
    return f"{dossier.environment} {now}; this is {_commit(dossier.commit, uncommitted=dossier.uncommitted)}"


def title_of(dossier: Dossier) -> str:
    """What is to be decided."""
    uncommitted = " with uncommitted changes" if dossier.uncommitted else ""
    return f"Release {dossier.commit[:10]}{uncommitted} to {dossier.environment}?"


def facts(dossier: Dossier) -> tuple[tuple[str, str], ...]:
    """What the title stands beside, each with what it is."""
    running = dossier.running
    if running is not None:
        proof = "verified in Airflow" if running.verified else "not verified in Airflow"
        commit = _commit(running.commit, uncommitted=running.uncommitted)
        found = [("Runs now", f"{commit}, since {moment(running.time)}, {proof} ({running.id})")]
    elif dossier.unread:
        found = [("Runs now", "not known: the environment could not be read")]
    else:
        what = "no release yet" if dossier.deployed else "nothing: the environment is not deployed yet"
        found = [("Runs now", what)]
    if dossier.written is not None:
        found.append(("As of", moment(dossier.written)))
    return tuple(found)


def summary(dossier: Dossier) -> str:
    """All sections in one line, for the text of an approval; what warns comes first, in case not all of it fits."""
    in_order = sorted(sections(dossier), key=lambda section: not section.warns)
    said = "; ".join(f"{section.title.lower()}: {section.state}" for section in in_order)
    return _fitting(one_line(plain(f"{headline(dossier)}. {said}.")), LONGEST_SUMMARY)


def _commit(commit: str, *, uncommitted: bool) -> str:
    return f"commit {commit[:10]}{' with uncommitted changes' if uncommitted else ''}"


def _fitting(text: str, most: int) -> str:
    """Cut a text in UTF-16, in which signs that are rare count twice, as they may with AWS."""
    units = text.encode("utf-16-le", errors="replace")
    if len(units) <= 2 * most:
        return text
    return units[: 2 * (most - 1)].decode("utf-16-le", errors="ignore") + "…"
