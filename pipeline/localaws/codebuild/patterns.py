"""Which files a buildspec's patterns mean. The rules are those of Go's doublestar, which CodeBuild's agent uses.

| pattern  | matches                                     |
| -------- | ------------------------------------------- |
| `*`      | any characters but `/`                      |
| `**`     | any folders, none as well                   |
| `?`      | one character but `/`                       |
| `[a-z]`  | one of the characters; `[!a]`, `[^a]`: none of them |
| `{a,b}`  | one of the alternatives                     |

Names that begin with a dot are matched like all others.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=512)
def expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression over a whole relative path."""
    return re.compile(_translated(pattern.removeprefix("./")) + r"\Z", re.DOTALL)


def _translated(pattern: str) -> str:
    result, position = "", 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            result, position = result + "(?:[^/]+/)*", position + 3
        elif pattern.startswith("**", position):
            result, position = result + ".*", position + 2
        else:
            piece, position = _one(pattern, position)
            result += piece
    return result


def _one(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position]
    if character == "*":
        return "[^/]*", position + 1
    if character == "?":
        return "[^/]", position + 1
    close = {"[": "]", "{": "}"}.get(character)
    end = pattern.find(close, position + 1) if close else -1
    if end < 0:
        return re.escape(character), position + 1
    inside = pattern[position + 1 : end]
    if character == "{":
        return "(?:" + "|".join(_translated(choice) for choice in inside.split(",")) + ")", end + 1
    negated = inside[:1] in ("!", "^")
    members = inside[1:] if negated else inside
    return f"[{'^/' if negated else ''}{members.replace(chr(92), chr(92) * 2)}]", end + 1


def select(paths: Iterable[str], patterns: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
    """The paths that one of the patterns means and none of `exclude` does, sorted."""
    wanted = [expression(pattern) for pattern in patterns]
    unwanted = [expression(pattern) for pattern in exclude]
    return sorted(
        path
        for path in paths
        if any(each.match(path) for each in wanted) and not any(each.match(path) for each in unwanted)
    )


def files_below(folder: Path, *, follow_links: bool = True) -> Iterator[str]:
    """The relative paths of all files below a folder; links to folders are followed once, never in a circle."""
    seen: set[str] = set()
    for current, folders, files in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(current)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        prefix = os.path.relpath(current, folder)
        links = [] if follow_links else [name for name in folders if Path(current, name).is_symlink()]
        for name in [*files, *links]:
            if follow_links and not Path(current, name).is_file():
                continue  # a dangling link, a socket
            yield name if prefix == "." else f"{prefix}/{name}"
