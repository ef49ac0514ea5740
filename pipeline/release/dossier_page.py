"""A dossier as plain text, and as one HTML page that needs nothing else and reads well on a phone. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from pipeline.release.dossier import Dossier
from pipeline.release.dossier_headline import facts, headline, title_of
from pipeline.release.dossier_sections import Section, sections
from pipeline.release.plain import plain

_FEW = 8  # lines that are shown at once
_MANY = 40  # lines beyond which even a warning is only marked, and said at the top: what is below must be found, too

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1d23;--line:#d5d9e0;--quiet:#545c6a;--card:#fff;--page:#f3f4f7;--warn:#974a00;
--warned:#fff6e9}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--line:#3d4450;--quiet:#a9b2bf;--card:#1d2128;--page:#14171c;
--warn:#ffb45c;--warned:#2b2317}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:1rem;max-width:46rem;background:var(--page);color:var(--ink);
font:1rem/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.3rem;line-height:1.25;margin:.1rem 0 .5rem}
p{margin:.1rem 0}
p b{margin-right:.4rem}
.quiet{color:var(--quiet)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:.7rem 0;padding:.2rem .9rem}
.warns{border:2px solid var(--warn);background:var(--warned)}
.head{padding:.55rem 0;min-height:2.75rem}
summary.head{cursor:pointer}
.head b{margin-right:.4rem}
.warns .head b,.look b{color:var(--warn)}
.glance{display:grid;grid-template-columns:max-content 1fr;padding:0;overflow:hidden}
.glance>*{display:grid;grid-template-columns:8.5rem 1fr;grid-template-columns:subgrid;grid-column:1/-1;
column-gap:.8rem;padding:.4rem .9rem;border-top:1px solid var(--line)}
.glance>:first-child{border:0}
.glance a{color:inherit}
.look{background:var(--warned)}
ul{list-style:none;margin:0 0 .6rem;padding:0}
li{padding:.4rem 0 .3rem;border-top:1px solid var(--line)}
li.below{border:0;padding:0 0 .3rem 1rem;color:var(--quiet)}
"""


def text(dossier: Dossier) -> Iterator[str]:
    """For people, line by line."""
    yield headline(dossier)
    if dossier.is_empty:
        yield _no_difference(dossier)
    for section in sections(dossier):
        yield f"{'!' if section.warns else ' '} {section.title:<10} {_unbroken(section.state)}"
        yield from (f"      {_unbroken(line)}" for line in section.lines)


def _unbroken(line: str) -> str:
    """A line in one: a value of several lines must not be taken for sections of ours."""
    return " ".join(line.splitlines())


def page(dossier: Dossier) -> str:
    """The page. No script, no font, no picture: it can be mailed, kept, and read without a network.

    On top everything is said in a few words, so that a phone's first screen answers what a release manager asks.
    """
    found = sections(dossier)
    title = _html(title_of(dossier))
    about = [f'<p class="quiet"><b>{_html(name)}</b>{_html(value)}</p>' for name, value in facts(dossier)]
    if dossier.is_empty:
        about.append(f"<p>{_html(_no_difference(dossier))}</p>")
    body = "\n".join([*about, _glance(found), *(_card(section) for section in found if section.lines)])
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _no_difference(dossier: Dossier) -> str:
    known = {
        "Airflow's settings": not dossier.stacks.airflow.unknown,
        "images": dossier.images is not None,
        "tasks": not dossier.stacks.tasks.unknown,
    }
    unknown = [what for what, is_known in known.items() if not is_known]
    stay = ", ".join(["DAGs", "requirements", *(what for what, is_known in known.items() if is_known)])
    more = f"; whether {' and '.join(unknown)} change is not known" if unknown else ""
    return f"no difference was found: {stay} stay as they are{more}"


def _glance(found: Sequence[Section]) -> str:
    """Every section in a row; those that warn stand out, and those with more to say lead to it."""
    return "\n".join(['<div class="card glance">', *map(_row, found), "</div>"])


def _row(section: Section) -> str:
    name = _html(section.title)
    if section.lines:
        name = f'<a href="#{_anchor(section)}">{name}</a>'
    if section.warns:
        return f'<div class="look"><b>⚠ {name}</b><span>{_html(section.state)}</span></div>'
    return f"<div><b>{name}</b><span>{_html(section.state)}</span></div>"


def _card(section: Section) -> str:
    """What a section has to say beyond its row above; open when that is little, or warns."""
    kind = "card warns" if section.warns else "card"
    heading = f"<b>{'⚠ ' if section.warns else ''}{_html(section.title)}</b>{_html(section.state)}"
    opened = " open" if len(section.lines) <= (_MANY if section.warns else _FEW) else ""
    shown = f'<details id="{_anchor(section)}" class="{kind}"{opened}><summary class="head">{heading}</summary>'
    return "\n".join([shown, "<ul>", *map(_item, section.lines), "</ul>", "</details>"])


def _item(line: str) -> str:
    below = ' class="below"' if line.startswith("  ") else ""
    return f"<li{below}>{_html(line.strip())}</li>"


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _html(text: str) -> str:
    return escape(plain(text))
