"""What people see: progress and tables on a terminal, plain lines in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.theme import Theme

_THEME = Theme({"good": "green", "bad": "bold red", "busy": "cyan", "quiet": "dim"})


class _Console(Console):
    """Shows `?` for what is no character: a name that is not UTF-8, half of a pair in a message of a DAG file's."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in objects)
        super().print(*shown, **options)


# Without emoji: a file may be called `:bug:.py`, and must be told so.
out = _Console(theme=_THEME, highlight=False, soft_wrap=True, emoji=False)
err = _Console(theme=_THEME, highlight=False, soft_wrap=True, emoji=False, stderr=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that something is under way and how long it took; on failure say so and let the error pass."""
    started = monotonic()
    spinner = out.status(f"[busy]{title}[/]") if out.is_terminal else None
    if spinner:
        spinner.start()
    try:
        yield
    except BaseException:
        _close(spinner, f"[bad]✗[/] {title}", started)
        raise
    _close(spinner, f"[good]✓[/] {title}", started)


def _close(spinner: Status | None, line: str, started: float) -> None:
    if spinner is not None:
        spinner.stop()
    out.print(f"{line} [quiet]({monotonic() - started:.1f} s)[/]")
