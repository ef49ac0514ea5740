"""A dossier as plain text, and as one HTML page that needs nothing else and reads well on a phone. Pure."""

from collections.abc import Iterator
from html import escape

from pipeline.release.dossier import Dossier
from pipeline.release.dossier_sections import Section, headline, sections

_STYLE = """
:root{color-scheme:light dark;--line:#d5d9e0;--quiet:#5b6472;--card:#fff;--page:#f3f4f7;--warn:#a85400;--warned:#fff6e9}
@media(prefers-color-scheme:dark){:root{--line:#343a45;--quiet:#a3acba;--card:#1d2128;--page:#14171c;--warn:#ffb45c;
--warned:#2b2317}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:46rem;background:var(--page);font:1rem/1.5 system-ui,sans-serif;
overflow-wrap:anywhere}
h1{font-size:1.35rem;margin:.2rem 0}
p{margin:.2rem 0 1rem;color:var(--quiet)}
details{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:.6rem 0;padding:.2rem .9rem}
details.warns{border-color:var(--warn);background:var(--warned)}
summary{padding:.6rem 0;cursor:pointer;min-height:2.75rem}
summary b{margin-right:.4rem}
.warns summary b{color:var(--warn)}
ul{list-style:none;margin:0 0 .7rem;padding:0}
li{padding:.3rem 0;border-top:1px solid var(--line)}
li.below{border:0;padding:0 0 .1rem 1rem;color:var(--quiet)}
code{font-size:.9em}
"""


def text(dossier: Dossier) -> Iterator[str]:
    """For people, line by line."""
    yield headline(dossier)
    if dossier.is_empty:
        yield "no difference: Airflow and its images stay as they are"
    for section in sections(dossier):
        yield f"{'!' if section.warns else ' '} {section.title:<10} {section.state}"
        yield from (f"      {line}" for line in section.lines)


def page(dossier: Dossier) -> str:
    """The page. No script, no font, no picture: it can be mailed, kept, and read without a network."""
    title = f"{dossier.environment}: {dossier.commit[:10]}"
    body = "\n".join(_card(section) for section in sections(dossier))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Release to {escape(dossier.environment)}?</h1>\n<p>{escape(headline(dossier))}</p>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _card(section: Section) -> str:
    """Open when there is something to look at; sections of a few lines too."""
    few = 6
    opened = " open" if section.warns or 0 < len(section.lines) <= few else ""
    kind = ' class="warns"' if section.warns else ""
    items = "\n".join(_item(line) for line in section.lines)
    heading = f"<summary><b>{escape(section.title)}</b>{escape(section.state)}</summary>"
    return f"<details{kind}{opened}>{heading}\n" + (f"<ul>\n{items}\n</ul>\n" if items else "") + "</details>"


def _item(line: str) -> str:
    below = ' class="below"' if line.startswith("  ") else ""
    return f"<li{below}>{escape(line.strip())}</li>"
