"""Leave to its first use what Airflow's import makes and parsing DAG files does not need: a fifth of its time.

- libcst takes a tenth, for the one class that takes decorators off a task's source when the task runs in a Python of
  its own. It is imported when it is used, though a class of Airflow's derives from one of its own.
- pydantic takes another for the validators of models, most of them of what a task and Airflow's API say to each other.
  It builds those that are asked for the first time, which is a way of its own: `defer_build`.
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


@contextmanager
def models_built_later() -> Iterator[None]:
    """Models that are made in this context are built at their first use. The DAG files' own are made outside it."""
    try:
        defaults: Any = importlib.import_module("pydantic._internal._config").config_defaults
        usual = defaults["defer_build"]
    except (ImportError, AttributeError, KeyError):  # another version, or an Airflow without it
        yield
        return
    defaults["defer_build"] = True
    try:
        yield
    finally:
        defaults["defer_build"] = usual


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
