"""Progress of several builds at once, as plain lines that read well in a log: the image's name, then what it says."""

from collections.abc import Iterable
from threading import Lock
from typing import TextIO


class Lines:
    """Writes whole lines, one at a time, from any thread.

    Args:
        to: Where they go.
        names: Of the images; they are padded to the longest.
    """

    def __init__(self, to: TextIO, names: Iterable[str]) -> None:
        self._to = to
        self._width = max(map(len, names), default=0)
        self._lock = Lock()

    def plain(self, line: str) -> None:
        """A line about the whole."""
        with self._lock:
            self._to.write(line + "\n")
            self._to.flush()

    def of(self, name: str, line: str) -> None:
        """A line about one image. Empty ones, which builders print between steps, are left out."""
        if line.strip():
            self.plain(f"{name:<{self._width}} │ {line.rstrip()}")
