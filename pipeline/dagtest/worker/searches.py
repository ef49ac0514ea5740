"""Take note of where Python looks for the team's modules: a result depends on what is there, imported or not.

found                                   noted, with whether it is there
a file below the DAG folder             the file
nothing, or a package that is a folder  NAME.py and the folder NAME in the DAG folder: either would be found next time
a file of a library's                   nothing: the environment decides it
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Searches:
    """Hears of every search of Python's in the folders of `sys.path` and of packages.

    Attributes:
        sought: Paths whose being there decided what was found since `begin`; of what was not, from the start: a library
            looks for others once, and later files have it as it is then.
        elsewhere: Whether modules were sought while `sys.path` was another than at `begin`, if only for a while.
    """

    def __init__(self) -> None:
        self.sought: set[str] = set()
        self.elsewhere = False
        self._in_vain: set[str] = set()
        self._dags = ""
        self._usual: list[str] = []

    def install(self, dags: str) -> None:
        """From here to the end of the process."""
        self._dags = dags
        search: Any = PathFinder.find_spec.__func__  # type: ignore[attr-defined]  # of a class method

        def noted_search(
            cls: type, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
        ) -> ModuleSpec | None:
            found: ModuleSpec | None = None
            self.elsewhere |= path is None and sys.path != self._usual
            try:
                found = search(cls, name, path, target)
            finally:
                self._note(name, found)
            return found

        PathFinder.find_spec = classmethod(noted_search)  # type: ignore[assignment]  # asked by Python's own name

    def begin(self) -> None:
        """Forget what was found."""
        self.sought = set(self._in_vain)
        self.elsewhere, self._usual = False, list(sys.path)

    @contextmanager
    def apart(self) -> Iterator[set[str]]:
        """What is noted in this context is given, and is not noted for others."""
        usual = self.sought, self._in_vain
        self.sought, self._in_vain = set(), set()
        try:
            yield self.sought
        finally:
            self.sought, self._in_vain = usual

    def _note(self, name: str, found: ModuleSpec | None) -> None:
        if found is None or found.origin is None:
            place = f"{self._dags}/{name.replace('.', '/')}"
            self._in_vain |= {place, f"{place}.py"}
            self.sought |= {place, f"{place}.py"}
        elif found.origin.startswith(self._dags):
            self.sought.add(found.origin)
