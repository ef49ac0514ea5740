"""Folders of containers for tests, written as mappings."""

from collections.abc import Mapping
from pathlib import Path

PLAIN = "FROM scratch\nCOPY . /\n"
BASED = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder; a content that begins with `-> ` makes a link, a path that ends with `/` a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir(exist_ok=True)
        elif content.startswith("-> "):
            target.symlink_to(content.removeprefix("-> "))
        else:
            target.write_text(content, encoding="utf-8")
    return folder
