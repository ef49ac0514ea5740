"""A build context that is suspiciously large: mostly data or an environment that nobody meant to send."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.images.inputs import shown

MB = 1_000_000
SHOWN = 3


def too_large(files: Mapping[str, str], limit: float) -> str:
    """A sentence that names the largest files, "" when the context is within the limit.

    Args:
        files: Path in the context → file on disk.
        limit: MB.
    """
    sizes = {path: Path(file).lstat().st_size for path, file in files.items()}
    total = sum(sizes.values())
    if total <= limit * MB:
        return ""
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    named = ", ".join(f"{shown(path)} ({size / MB:.1f} MB)" for path, size in largest)
    return f"the build context has {total / MB:.1f} MB in {len(sizes)} files, more than {limit:g}; largest: {named}"
