"""Wrap what gives access to Airflow's variables and connections and to databases, so that a watch hears of it.

So is what Python itself does without an audit event: looks at files, processes that `multiprocessing` starts, signals.
"""

import _posixsubprocess
import functools
import importlib.util
import os
import signal
import sqlite3.dbapi2
import stat
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pipeline.dagtest.worker.watch import Watch

# module → (attribute, kind, words)
WRAPPED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "airflow.sdk.execution_time.context": (
        ("_get_variable", "variables", "Variable.get"),
        ("_get_variable_keys", "variables", "Variable.keys"),
        ("_set_variable", "variables", "Variable.set"),
        ("_delete_variable", "variables", "Variable.delete"),
        ("_get_connection", "connections", "connection"),
        ("_async_get_connection", "connections", "connection"),
    ),
    "airflow.models.variable": (
        ("Variable.get_variable_from_secrets", "variables", "Variable.get"),
        ("Variable.set", "variables", "Variable.set"),
        ("Variable.update", "variables", "Variable.update"),
        ("Variable.delete", "variables", "Variable.delete"),
    ),
    "airflow.models.connection": (("Connection.get_connection_from_secrets", "connections", "connection"),),
    # Drivers whose sockets Python does not see.
    "psycopg2": (("connect", "database", "connect to PostgreSQL"),),
    "psycopg": (("connect", "database", "connect to PostgreSQL"),),
    "MySQLdb": (("connect", "database", "connect to MySQL"),),
    "pyodbc": (("connect", "database", "connect by ODBC"),),
    "oracledb": (("connect", "database", "connect to Oracle"),),
}


class Accesses:
    """Wraps modules now, or when they are imported."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._finding: set[str] = set()

    def install(self) -> None:
        """From here to the end of the process."""
        for name in WRAPPED:
            if name in sys.modules:
                self._wrap(sys.modules[name])
        self._protect_airflows_database()
        self._hear_of_looks()
        self._hear_of_processes()
        self._hear_of_signals()
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module to wrap, found by the others, with a loader that wraps it once it is there."""
        del path, target
        if name not in WRAPPED or name in self._finding:
            return None
        self._finding.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._finding.discard(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._wrap(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec

    def _protect_airflows_database(self) -> None:
        """It is there for every file; none may change what the others find in it."""
        connect, environment = sqlite3.dbapi2.connect, self.watch.environment

        def connect_to_read(database: Any, *arguments: Any, **named: Any) -> Any:
            connection = connect(database, *arguments, **named)
            if environment in str(database):
                connection.execute("PRAGMA query_only = ON")
            return connection

        sqlite3.dbapi2.connect = sqlite3.connect = connect_to_read

    def _hear_of_looks(self) -> None:
        """Python tells of no question whether a file is there. Imports ask the system without these functions.

        `os.path.realpath` asks for every folder on the way with `os.lstat`, and nothing hangs on what is in them.
        """
        usual = os.stat

        def look(path: Any) -> None:
            try:
                is_folder = stat.S_ISDIR(usual(path).st_mode)
            except (OSError, ValueError):
                is_folder = False
            if not is_folder:
                self.watch.looked_at(path)

        looks: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("stat", "access"), self.watch.looked_at),
            "lstat": look,
        }
        for name, noted in looks.items():
            self._hear_of(name, noted)

    def _hear_of(self, name: str, noted: Callable[[Any], None]) -> None:
        ask = getattr(os, name)

        @functools.wraps(ask)
        def told(path: Any, *arguments: Any, **named: Any) -> Any:
            noted(path)
            return ask(path, *arguments, **named)

        setattr(os, name, told)
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if ask in able:
                able.add(told)

    def _hear_of_processes(self) -> None:
        """Those that `multiprocessing` starts anew, and its trackers. `subprocess` has an event of its own."""
        start = _posixsubprocess.fork_exec

        def told_start(arguments: Any, *more: Any) -> int:
            self.watch.started(arguments)
            return start(arguments, *more)

        _posixsubprocess.fork_exec = told_start

    def _hear_of_signals(self) -> None:
        """To processes that are named by a descriptor."""
        send = getattr(signal, "pidfd_send_signal", None)
        if send is None:  # not on this system
            return

        def told_send(descriptor: int, number: int, *more: Any) -> None:
            self.watch.signalled(descriptor, number)
            send(descriptor, number, *more)

        for module in (signal, sys.modules["_signal"]):
            vars(module)["pidfd_send_signal"] = told_send

    def _wrap(self, module: ModuleType) -> None:
        for path, kind, words in WRAPPED[module.__name__]:
            owner_name, _, name = path.rpartition(".")
            owner = getattr(module, owner_name, None) if owner_name else module
            found = vars(owner).get(name) if owner is not None else None
            if found is None:  # another version of Airflow
                continue
            if isinstance(found, staticmethod | classmethod):
                setattr(owner, name, type(found)(self._told(found.__func__, kind, words)))
            else:
                setattr(owner, name, self._told(found, kind, words))

    def _told(self, function: Callable[..., Any], kind: str, words: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def told(*arguments: Any, **named: Any) -> Any:
            texts = (value for value in [*arguments, *named.values()] if isinstance(value, str))
            about = next(texts, "") if kind != "database" else ""
            with self.watch.within(kind, f"{words} {about!r}" if about else words):
                return function(*arguments, **named)

        return told
