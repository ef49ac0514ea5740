"""What the tasks that a mapped task becomes are given, as far as the file writes it out."""

from collections.abc import Iterator, Mapping
from typing import Any


def written_out(task: Any) -> Iterator[tuple[str, Any]]:
    """An argument's name and its value, for each value that one of the tasks is given.

    the task's                      values
    expand(name=[...])              the list's, but for what only a run knows
    expand(name={...})              each key with its value
    expand_kwargs([{...}, ...])     those of each member that is written out
    of another task's result        none
    no mapped task                  none
    """
    given = getattr(getattr(task, "expand_input", None), "value", None)
    if isinstance(given, Mapping):
        for name, values in given.items():
            if isinstance(values, Mapping):
                yield from ((name, pair) for pair in values.items())
            elif isinstance(values, list | tuple):
                yield from ((name, value) for value in values)
    elif isinstance(given, list | tuple):
        for arguments in given:
            if isinstance(arguments, Mapping):
                yield from arguments.items()
