r"""Which files of a folder a Docker build is sent: `.dockerignore`, by moby's rules.

A port of moby's two sources of truth: `patternmatcher/ignorefile` (how the file is read) and `patternmatcher` with
`MatchesUsingParentResults`, walked as BuildKit's fsutil does (what a pattern means). The Docker SDK for Python has a
matcher of its own, `docker.utils.build.PatternMatcher`; it follows an older moby and differs in ways that change
images: it compares without regard to case, looks at one parent only (`**/cache` keeps `a/cache/b/c`), knows no escapes
(`\*`), takes `[!a]` for a negation and `[^a]` for none, and does not find `*/keep` below an excluded folder.

| line | meaning |
| --- | --- |
| `# …`, empty | nothing; a `#` after a space is a pattern |
| `name`, `/name`, `name/` | that path at the top, and all below it |
| `*`, `?`, `[a-z]`, `[^a]` | within one part of the path |
| `**` | any number of parts, none included |
| `!pattern` | an exception to the lines above it; the last line that matches decides |
| `\*` | the character itself |
| `.` and `/` | nothing, for historical reasons |

Where the classic builder and BuildKit disagree BuildKit is followed: an exception with a wildcard (`docs`, `!**/*.md`)
does bring back a file of an excluded folder.
"""

import os
import posixpath
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.images.patterns import BadPatternError, Pattern, compile_pattern

IGNORE_FILE = ".dockerignore"

# Go's unicode.IsSpace; Python's strip() takes four control characters more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def parse(text: str, where: str = IGNORE_FILE) -> tuple[Pattern, ...]:
    """The patterns of an ignore file, in its order.

    Raises:
        UsageError: A pattern that Docker refuses, or one whose meaning to Docker we cannot reproduce.
    """
    patterns = []
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.removesuffix("\r")
        if line.startswith("#") or not (line := line.strip(_SPACE)):
            continue
        if not (pattern := _second_reading(_first_reading(line))):
            continue
        exception = pattern.startswith("!")
        try:
            patterns.append(compile_pattern(pattern.removeprefix("!"), exception=exception))
        except BadPatternError as error:
            raise UsageError(
                f"the pattern {line!r} is not valid: {error}", where=f"{where}:{number}", mend="Correct the line."
            ) from None
    return tuple(patterns)


def sent_files(folder: Path, patterns: Sequence[Pattern]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and symbolic link below `folder` that the patterns leave in, as (path with slashes, entry).

    Links are not followed. Folders are walked, not returned: git does not record them either.

    Raises:
        OSError: A folder that cannot be read.
    """
    # Below an excluded folder a file can come back only through an exception.
    exceptions = any(pattern.exception for pattern in patterns)

    def walk(path: str, prefix: str, parent: Sequence[bool]) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            relative = prefix + entry.name
            excluded, matches = _excluded(relative, patterns, parent)
            if entry.is_dir(follow_symlinks=False):
                if exceptions or not excluded:
                    yield from walk(entry.path, relative + "/", matches)
            elif not excluded:
                yield relative, entry

    return walk(str(folder), "", ())


def is_special(mode: int) -> bool:
    """Whether a mode is of something no build context can carry: a socket, a pipe, a device."""
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))


def _excluded(path: str, patterns: Sequence[Pattern], parent: Sequence[bool]) -> tuple[bool, list[bool]]:
    """Moby's `MatchesUsingParentResults`: is it excluded, and which patterns matched it or a folder above it.

    A pattern that cannot change the verdict is not tried and counts as no match, for what lies below as well: moby's
    rule for `a/b`, `!a` (a/b stays out) hangs on that.
    """
    excluded = False
    matches = [False] * len(patterns)
    for number, pattern in enumerate(patterns):
        matched = bool(parent) and parent[number]
        if not matched:
            if pattern.exception != excluded:
                continue
            matched = pattern.match(path)
        matches[number] = matched
        if matched:
            excluded = not pattern.exception
    return excluded, matches


def _first_reading(line: str) -> str:
    """Moby's `ignorefile.ReadAll`: the path behind the `!` cleaned, and its leading slash off."""
    exception = line.startswith("!")
    path = line[1:].strip(_SPACE) if exception else line
    cleaned = _clean(path) if path else ""
    if len(cleaned) > 1:
        cleaned = cleaned.removeprefix("/")
    return f"!{cleaned}" if exception else cleaned


def _second_reading(pattern: str) -> str:
    """Moby's `patternmatcher.New` cleans once more, and only now looks for the `!`: `/!name` is an exception, too."""
    stripped = pattern.strip(_SPACE)
    return _clean(stripped) if stripped else ""


def _clean(path: str) -> str:
    """Go's `filepath.Clean`."""
    return re.sub(r"^//+", "/", posixpath.normpath(path))
