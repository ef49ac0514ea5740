"""Texts of other people, such as commit titles and names of files, made fit to be shown. Pure."""

import re

# Control characters drive a terminal; those of writing direction let a line read as what it is not; half of a pair of
# surrogates cannot be written at all.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """The text with a sign in place of each character that would not show. Line ends and tabs stay."""
    return _UNFIT.sub(_SHOWN, text)
