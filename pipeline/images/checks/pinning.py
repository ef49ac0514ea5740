"""Base images pinned by digest: which are not, and writing the digest behind the tag.

The content tag counts what the Dockerfile says, not what a tag such as `python:3.12-slim` means today. Only a digest
makes both the same, and a change of the base a change of the repository, which is reviewed, tested and built like any
other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.images.dockerfile import Dockerfile

_DIGEST = "@sha256:"


@dataclass(frozen=True)
class Reference:
    """An image as a Dockerfile names it.

    Attributes:
        written: As it stands there.
        name: Without the digest.
        pinned: It has a digest.
        variable: A build argument is part of it: what it is, is not known before the build.
    """

    written: str
    name: str
    pinned: bool
    variable: bool


def references(dockerfile: Dockerfile) -> tuple[Reference, ...]:
    """Every image of others that a Dockerfile takes something from, each once."""
    return tuple(
        Reference(written, written.partition("@")[0], _DIGEST in written, "$" in written)
        for written in dockerfile.outside_images()
    )


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """A Dockerfile's text with references replaced; nothing else in it changes.

    Args:
        text: The Dockerfile.
        digests: Reference as written → `sha256:…`.
    """
    for written, digest in digests.items():
        # A name and a digest hold no character that means something in a replacement.
        new = rf"\g<1>{written.partition('@')[0]}@{digest}"
        old = re.escape(written)
        for before in (r"FROM\s+(?:--\S+\s+)*", r"COPY\s+(?:--\S+\s+)*--from="):
            text = re.sub(rf"^(\s*{before}){old}(?=\s|$)", new, text, flags=re.MULTILINE | re.IGNORECASE)
    return text
