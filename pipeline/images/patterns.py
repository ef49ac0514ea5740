r"""One pattern of an ignore file: what it means to moby (`patternmatcher.Pattern`), and whether Docker would refuse it.

Two grammars apply to a pattern one after the other. Go's `filepath.Match` only judges whether it is well formed; then
moby turns it into a regular expression character by character. Where the two read the same text differently (`\d` is
"d" to the first, a digit to the second; `[[:alpha:]]`, `[a*]`; beside a wildcard `a|b` and `a{2}`, which moby means to
escape but does not) no author can know what they get: we refuse it by name.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "prefix", "suffix", "regex"]

_REGEX_CHARACTERS = frozenset(".+()|{}$]")
# moby's table of characters to escape (`escapeBytes`) has no room for those above "?": these stay operators.
# Go repeats nothing by `{,2}`: that is plain text to it, as are braces around anything but numbers.
_OPERATOR = re.compile(r"\||\{\d+,?\d*\}")
_OPAQUE = "[]"  # stands for an escape or a set, which is no part of an operator


class BadPatternError(ValueError):
    """A pattern that Docker refuses, or whose meaning to Docker we cannot reproduce; says why."""


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern.

    Attributes:
        text: The pattern, cleaned, without its `!`.
        exception: It began with `!`.
        kind: How moby compares: only `regex` needs the expression; the others are what most patterns are, and quick.
        regex: The expression that the whole path must match.
    """

    text: str
    exception: bool
    kind: Kind
    regex: re.Pattern[str]

    def match(self, path: str) -> bool:
        """Whether the pattern names exactly this path; what lies below a match is the walk's business."""
        if self.kind == "exact":
            return path == self.text
        if self.kind == "prefix":
            return path.startswith(self.text[:-2])
        if self.kind == "suffix":
            suffix = self.text[2:]
            return path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])
        return self.regex.search(path) is not None


def compile_pattern(text: str, *, exception: bool) -> Pattern:
    """A pattern from its cleaned text.

    Raises:
        BadPatternError: See there.
    """
    if exception and not text:
        raise BadPatternError("an exception needs a path")
    plain = _check(text)
    kind, regex = _translate(text)
    if kind == "regex" and (operator := _OPERATOR.search(plain)):
        raise BadPatternError(f"Docker does not read {operator[0]} as plain characters beside a wildcard")
    try:
        return Pattern(text, exception, kind, re.compile(rf"^{regex}\Z"))
    except re.error as error:
        raise BadPatternError(str(error)) from None


def _translate(pattern: str) -> tuple[Kind, str]:
    """Moby's `Pattern.compile`: how to match, and the expression. The pattern is well formed."""
    kind: Kind = "exact"
    regex, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            # "**/" is "**". At the end it takes everything; elsewhere any number of whole parts.
            after = at + (3 if pattern.startswith("/", at + 2) else 2)
            if after < len(pattern):
                kind, regex = "regex", regex + "(.*/)?"
            elif kind == "exact":
                kind = "prefix"
            else:
                kind, regex = "regex", regex + ".*"
            if at == 0:
                kind = "suffix"  # for now: any wildcard that follows makes it a regex
            at = after
            continue
        piece, at = _piece(pattern, at)
        if piece.wild:
            kind = "regex"
        regex += piece.regex
    return kind, regex


@dataclass(frozen=True)
class _Piece:
    regex: str
    wild: bool


def _piece(pattern: str, at: int) -> tuple[_Piece, int]:
    """One character, escape or set, and where the next begins."""
    character = pattern[at]
    if character == "*":
        return _Piece("[^/]*", wild=True), at + 1
    if character == "?":
        return _Piece("[^/]", wild=True), at + 1
    if character == "\\":
        return _Piece(pattern[at : at + 2], wild=True), at + 2
    if character == "[":
        end = _set_end(pattern, at + 1)
        return _Piece(f"[{_set_members(pattern[at + 1 : end - 1])}]", wild=True), end
    if character in _REGEX_CHARACTERS:
        return _Piece(f"\\{character}", wild=character == "]"), at + 1
    return _Piece(character, wild=False), at + 1


def _set_members(members: str) -> str:
    """The inside of a set for Python, which would read more than Go does into some characters."""
    negation = "^" if members.startswith("^") else ""
    return negation + re.sub(
        r"\\.|[\[&~|^]", lambda found: found[0] if found[0][0] == "\\" else f"\\{found[0]}", members[len(negation) :]
    )


def _check(pattern: str) -> str:
    """Refuse what Go's `filepath.Match` refuses, and what the two grammars read differently.

    Go stops checking at the first part that cannot match "."; what it lets pass fails later, in moby's own expression.

    Returns:
        The pattern with its escapes and sets made unreadable.
    """
    at, plain = 0, ""
    while at < len(pattern):
        if pattern[at] == "\\":
            plain, at = plain + _OPAQUE, _escape_end(pattern, at)
        elif pattern[at] == "[":
            end = _set_end(pattern, at + 1)
            if any(unclear in pattern[at + 1 : end] for unclear in ("[:", "*", "?")):
                raise BadPatternError("a set [...] with *, ? or [: in it means something else to Docker")
            plain, at = plain + _OPAQUE, end
        else:
            plain += pattern[at]
            at += 1
    return plain


def _escape_end(pattern: str, at: int) -> int:
    if at + 1 >= len(pattern):
        raise BadPatternError("a backslash needs a character after it")
    escaped = pattern[at + 1]
    if escaped.isalnum() or not escaped.isascii():
        raise BadPatternError(f"Docker does not read \\{escaped} as {escaped}; write it without the backslash")
    return at + 2


def _set_end(pattern: str, start: int) -> int:
    """Where a set that begins at `start`, after its bracket, ends."""
    at = start + 1 if pattern.startswith("^", start) else start
    first = True
    while first or not pattern.startswith("]", at):
        at = _set_member_end(pattern, at)
        if pattern.startswith("-", at):
            at = _set_member_end(pattern, at + 1)
        first = False
    return at + 1


def _set_member_end(pattern: str, at: int) -> int:
    if at >= len(pattern) or pattern[at] in "-]":
        raise BadPatternError("a set [...] is empty, not closed, or has a - at its edge")
    end = _escape_end(pattern, at) if pattern[at] == "\\" else at + 1
    if end >= len(pattern):
        raise BadPatternError("a set [...] is not closed")
    return end
