"""What an error's traceback, as text, says to people."""

import re
from pathlib import Path

_FRAME = re.compile(r'\s*File "([^"]+)", line (\d+)')
# A call of ours between a file's and Python's: it tells nobody anything.
_OURS = re.compile(rf'^ +File "{re.escape(str(Path(__file__).parent))}/[^"]+".*\n(?: {{4}}.*\n)*', re.MULTILINE)
# Of a group of errors: its members, and the margin of the group itself.
_OF_GROUP = re.compile(r"^ {2}(?: {2,}[|+].*|\+-\+-.*|\| ?)", re.MULTILINE)


def message_of(text: str) -> str:
    """The first line of the error itself, with the next where it ends in a colon.

    It is the first after the last call, whose own lines are all indented.

    error                            its lines
    most                             one
    of pydantic, of a careful author more: what follows explains
    that ends in a colon             two: what it announces is in the next, as Airflow's of wrong arguments
    a group                          one, before its members
    without a traceback              as it is
    """
    lines = _OF_GROUP.sub("", text.strip("\n")).splitlines()
    last = next((number for number in reversed(range(len(lines))) if _FRAME.match(lines[number])), -1)
    found = (line for line in lines[last + 1 :] if line.strip() and not line.startswith(" "))
    first = next(found, lines[-1] if lines else text).strip()
    more = next(found, "").strip() if first.endswith(":") else ""
    return f"{first} {more}".strip()


def error_line(text: str, path: Path) -> int | None:
    """The innermost line of a file in a traceback."""
    lines = [int(line) for file, line in _FRAME.findall(text) if Path(file) == path]
    return lines[-1] if lines else None


def calls_from(path: Path, text: str) -> str:
    """A traceback from its first call in the file on: how Airflow got there helps nobody, nor what we had called."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if f'File "{path}"' in line), 0)
    return _OURS.sub("", "".join(lines[first:]))
