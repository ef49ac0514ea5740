"""Find here what a DAG file names by its place on MWAA: `/usr/local/airflow/dags/sql/orders.sql`.

on MWAA                      here
/usr/local/airflow/dags      the DAG folder
/usr/local/airflow/plugins   plugins/ in it
/usr/local/airflow           Airflow's home
"""

import builtins
import functools
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MWAA_HOME = "/usr/local/airflow"
_ASKED = (
    *((builtins, "open"), (io, "open"), (os, "open"), (os, "stat"), (os, "lstat"), (os, "access")),
    *((os, "listdir"), (os, "scandir"), (os, "readlink")),
)


class MwaaHome:
    """Where MWAA's paths lead here.

    Args:
        dags: The DAG folder.
        home: Airflow's home.
    """

    def __init__(self, dags: Path, home: Path) -> None:
        self._places = (
            (f"{MWAA_HOME}/dags", str(dags)),
            (f"{MWAA_HOME}/plugins", str(dags / "plugins")),
            (MWAA_HOME, str(home)),
        )

    def here(self, path: Any) -> Any:
        """The place here; any other path, or what is none, as it is."""
        text = os.fspath(path) if isinstance(path, os.PathLike) else path
        name = os.fsdecode(text) if isinstance(text, bytes) else text
        if not isinstance(name, str) or not name.startswith(MWAA_HOME):
            return path
        for there, place in self._places:
            if name == there or name.startswith(f"{there}/"):
                found = place + name[len(there) :]
                return os.fsencode(found) if isinstance(text, bytes) else found
        return path

    def install(self) -> None:
        """From here to the end of the process, unless this machine has such a folder itself."""
        if Path(MWAA_HOME).exists():
            return
        able = (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids)
        for module, name in _ASKED:
            usual = getattr(module, name)
            asking = _Asking(usual, self.here)
            setattr(module, name, asking)
            for functions in able:
                if usual in functions:
                    functions.add(asking)
        sys.path_hooks.insert(0, self._finder)

    def _finder(self, path: str) -> Any:
        """What looks for modules in a folder of MWAA's that a file adds to `sys.path`."""
        place = self.here(path)
        if place is path:
            raise ImportError("this is found where it says")
        for hook in sys.path_hooks:
            if hook != self._finder:
                try:
                    return hook(place)
                except ImportError:
                    continue
        raise ImportError(f"no modules can be found in {path}")


class _Asking:
    """A function that is asked with the path here. No function itself: in a class it must not become a method."""

    def __init__(self, usual: Callable[..., Any], here: Callable[[Any], Any]) -> None:
        self._usual, self._here = usual, here
        functools.update_wrapper(self, usual)

    def __call__(self, *asked: Any, **named: Any) -> Any:
        if asked:
            asked = (self._here(asked[0]), *asked[1:])
        else:
            named = {name: self._here(value) if name in ("path", "file") else value for name, value in named.items()}
        return self._usual(*asked, **named)
