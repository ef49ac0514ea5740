"""A stand-in for what is known in a run only: the task instance, variables, connections, results of other tasks."""

from collections.abc import Iterator
from typing import ClassVar

MOST_USES = 10_000  # in one template; a parser that reads the stand-in to its end would never come to one


class UsedTooOften(BaseException):
    """A template, or what it calls, does not come to an end. No `except Exception` of theirs may hide it."""


class Anything:
    """Every use of it works, and is counted: what is computed from it says nothing of a run.

    Attributes:
        uses: How often any of them was used since somebody set it to 0.
    """

    uses: ClassVar[int] = 0
    unsafe_callable = alters_data = False  # what a sandbox asks before it calls something

    def _used(self, *_: object, **__: object) -> "Anything":
        Anything.uses += 1
        if Anything.uses > MOST_USES:
            raise UsedTooOften
        return self

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return self._used()

    __getitem__ = __call__ = __round__ = __neg__ = __pos__ = __abs__ = _used
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __and__ = __or__ = _used
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rand__ = __ror__ = _used

    def __iter__(self) -> Iterator["Anything"]:
        return iter((self._used(),))

    def __eq__(self, other: object) -> bool:
        self._used()
        return False

    def __lt__(self, other: object) -> bool:
        self._used()
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return 0

    def __int__(self) -> int:
        self._used()
        return 1

    __index__ = __len__ = __int__

    def __float__(self) -> float:
        self._used()
        return 1.0

    def __bool__(self) -> bool:
        self._used()
        return True

    def __str__(self) -> str:
        self._used()
        return "anything"

    def __format__(self, form: str) -> str:
        return str(self)
