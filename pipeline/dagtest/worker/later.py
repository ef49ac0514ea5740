"""Import a large library when it is used, though a class of another one derives from one of its own.

Airflow imports libcst, which takes a tenth of its own import, for the one class that takes decorators off a task's
source when the task runs in a Python of its own. While DAG files are parsed nobody asks for it.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def imported_later(name: str, *classes: str) -> Iterator[None]:
    """Modules that are imported in this context get a stand-in for a library, which imports it when it is used.

    Args:
        name: The library's module.
        classes: Its classes that are derived from at import. What derives from them derives from the library's own
            once that is imported.
    """
    if name in sys.modules:
        yield
        return
    stand_in = _StandIn(name, classes)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        stand_in.is_derived_from = False
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


class _StandIn(ModuleType):
    def __init__(self, name: str, classes: tuple[str, ...]) -> None:
        super().__init__(name)
        self._bases: dict[str, type] = {base: type(base, (), {}) for base in classes}
        self._library: ModuleType | None = None
        self.is_derived_from = True

    def __getattr__(self, name: str) -> Any:
        if self.is_derived_from and name in self._bases:
            return self._bases[name]
        if name.startswith("__") and name != "__path__":  # the import system asks for it
            raise AttributeError(name)
        return getattr(self._imported(), name)

    def _imported(self) -> ModuleType:
        if self._library is None:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            self._library = importlib.import_module(self.__name__)
            for name, base in self._bases.items():
                derived: type
                for derived in base.__subclasses__():
                    theirs = getattr(self._library, name)
                    derived.__bases__ = tuple(theirs if each is base else each for each in derived.__bases__)
        return self._library
