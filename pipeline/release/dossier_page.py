"""A dossier as plain text, and as one HTML page that needs nothing else and reads well on a phone. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from pipeline.release.dossier import Dossier
from pipeline.release.dossier_headline import facts, headline
from pipeline.release.dossier_sections import Section, sections

_FEW = 8  # lines that are shown at once
_MANY = 40  # lines beyond which even a warning is only marked, and said at the top: what is below must be found, too
_NO_DIFFERENCE = "no difference: Airflow and its images stay as they are"

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1d23;--line:#d5d9e0;--quiet:#5b6472;--card:#fff;--page:#f3f4f7;--warn:#a14f00;
--warned:#fff6e9}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--line:#343a45;--quiet:#a3acba;--card:#1d2128;--page:#14171c;
--warn:#ffb45c;--warned:#2b2317}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:1rem;max-width:46rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem;line-height:1.25;margin:.2rem 0 .6rem}
p{margin:.2rem 0}
p b{margin-right:.4rem}
.quiet{color:var(--quiet)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:.7rem 0;padding:.2rem .9rem}
.warns{border:2px solid var(--warn);background:var(--warned)}
.head{padding:.6rem 0;min-height:2.75rem}
summary.head{cursor:pointer}
.head b{margin-right:.4rem}
.warns .head b{color:var(--warn)}
ul{list-style:none;margin:0 0 .7rem;padding:0}
li{padding:.3rem 0;border-top:1px solid var(--line)}
li.below{border:0;padding:0 0 .1rem 1rem;color:var(--quiet)}
"""


def text(dossier: Dossier) -> Iterator[str]:
    """For people, line by line."""
    yield headline(dossier)
    if dossier.is_empty:
        yield _NO_DIFFERENCE
    for section in sections(dossier):
        yield f"{'!' if section.warns else ' '} {section.title:<10} {section.state}"
        yield from (f"      {line}" for line in section.lines)


def page(dossier: Dossier) -> str:
    """The page. No script, no font, no picture: it can be mailed, kept, and read without a network."""
    found = sections(dossier)
    title = f"Release {dossier.commit[:10]} to {dossier.environment}?"
    about = [f'<p class="quiet"><b>{escape(name)}</b>{escape(value)}</p>' for name, value in facts(dossier)]
    if dossier.is_empty:
        about.append(f"<p>{escape(_NO_DIFFERENCE)}</p>")
    body = "\n".join([*about, *_warnings(found), *(_card(section) for section in found)])
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _warnings(found: Sequence[Section]) -> Iterator[str]:
    """What warns, together at the top: nobody should have to scroll to find out that there is something."""
    items = [f"<li><b>{escape(each.title)}</b>: {escape(each.state)}</li>" for each in found if each.warns]
    if items:
        head = '<div class="head"><b>⚠ Look at this before you approve</b></div>'
        yield f'<div class="card warns">{head}\n<ul>\n' + "\n".join(items) + "\n</ul>\n</div>"


def _card(section: Section) -> str:
    """Only what has more to show can be opened; it is open when that is little, or warns."""
    kind = "card warns" if section.warns else "card"
    heading = f"<b>{'⚠ ' if section.warns else ''}{escape(section.title)}</b>{escape(section.state)}"
    if not section.lines:
        return f'<div class="{kind}"><div class="head">{heading}</div></div>'
    opened = " open" if len(section.lines) <= (_MANY if section.warns else _FEW) else ""
    shown = f'<details class="{kind}"{opened}><summary class="head">{heading}</summary>'
    return "\n".join([shown, "<ul>", *map(_item, section.lines), "</ul>", "</details>"])


def _item(line: str) -> str:
    below = ' class="below"' if line.startswith("  ") else ""
    return f"<li{below}>{escape(line.strip())}</li>"
