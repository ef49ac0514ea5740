"""Base images pinned by digest: which are not, and writing the digest behind the tag.

The content tag counts what the Dockerfile says, not what a tag such as `python:3.12-slim` means today. Only a digest
makes both the same, and a change of the base a change of the repository, which is reviewed, tested and built like any
other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.images.dockerfile import Dockerfile
from pipeline.images.dockerfile_syntax import BYTE_ORDER_MARK, directives, escape_character, instructions

_DIGEST = "@sha256:"


@dataclass(frozen=True)
class Reference:
    """An image as a Dockerfile names it.

    Attributes:
        written: As it stands there.
        name: Without the digest, with build arguments replaced as far as they are known.
        pinned: It has a digest.
        variable: A build argument is part of it, so that the digest belongs elsewhere.
    """

    written: str
    name: str
    pinned: bool
    variable: bool

    @property
    def known(self) -> bool:
        """Whether it is known, before the build, which image this is."""
        return "$" not in self.name

    @property
    def tagged(self) -> bool:
        """Whether it has a tag; the colon of a registry's port is none."""
        return ":" in self.name.rpartition("/")[2]


def references(dockerfile: Dockerfile, arguments: Mapping[str, str]) -> tuple[Reference, ...]:
    """Every image of others that a Dockerfile takes something from, each once.

    Args:
        dockerfile: The Dockerfile.
        arguments: The build arguments that it is built with; others have their defaults.
    """
    return tuple(
        Reference(written, image.partition("@")[0], _DIGEST in image, "$" in written)
        for written, image in dockerfile.outside_images(arguments)
    )


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """A Dockerfile's text with references replaced; nothing else in it changes.

    Args:
        text: The Dockerfile.
        digests: Reference as written → `sha256:…`.
    """
    mark = BYTE_ORDER_MARK * text.startswith(BYTE_ORDER_MARK)
    lines = text.removeprefix(mark).split("\n")
    for first, after, before in _places(text):
        part = "\n".join(lines[first:after])
        for written, digest in digests.items():
            part = _replaced(part, before, written, f"{written.partition('@')[0]}@{digest}")
        lines[first:after] = part.split("\n")
    return mark + "\n".join(lines)


def _places(text: str) -> Iterator[tuple[int, int, str]]:
    """Where a reference may stand: (first line, line behind the last, expression of what is before it)."""
    escape = re.escape(escape_character(text))
    # White space, and the end of a line that goes on, with the comments and empty lines behind it.
    gap = rf"(?:[ \t]|{escape}[ \t\r]*\n(?:[ \t]*(?:#[^\n]*|\r)?\n)*)+"
    flags = rf"(?:--\S+?{gap})*"
    before = {
        "FROM": rf"\s*FROM{gap}{flags}",
        "COPY": rf"\s*COPY{gap}{flags}--from=",
        "RUN": rf"\s*RUN{gap}{flags}--mount=(?:[^\s,]+,)*from=",
    }
    if syntax := directives(text).get("syntax"):
        yield syntax.line, syntax.line + 1, r"\s*#\s*syntax\s*=\s*"
    for each in instructions(text):
        if each.word in before:
            yield each.first, each.after, before[each.word]


def _replaced(part: str, before: str, old: str, new: str) -> str:
    """An instruction with a reference replaced, however often it has it."""
    found = re.compile(rf"^({before}[\"']?){re.escape(old)}(?=[\"',\s\\`]|$)", re.IGNORECASE)
    # A name and a digest hold no character that means something in a replacement.
    while (changed := found.sub(rf"\g<1>{new}", part)) != part:
        part = changed
    return part
