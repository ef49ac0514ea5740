"""Wrap what gives access to Airflow's variables and connections and to databases, so that a watch hears of it."""

import functools
import importlib.util
import os
import sqlite3.dbapi2
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
    """Wraps modules now, or when they are imported; notes which modules were looked for in vain."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.absent: set[str] = set()
        self._finding: set[str] = set()

    def install(self) -> None:
        """From here to the end of the process."""
        for name in WRAPPED:
            if name in sys.modules:
                self._wrap(sys.modules[name])
        self._protect_airflows_database()
        self._hear_of_looks()
        sys.meta_path.insert(0, self)
        sys.meta_path.append(_Last(self.absent))  # asked when no other finder knows the module

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
        """Python tells of no question whether a file is there. Imports ask the system without this function."""
        stat = os.stat

        @functools.wraps(stat)
        def told_stat(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
            self.watch.looked_at(path)
            return stat(path, *arguments, **named)

        os.stat = told_stat
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if stat in able:
                able.add(told_stat)

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


class _Last:
    def __init__(self, absent: set[str]) -> None:
        self.absent = absent

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        self.absent.add(name)
        return None
