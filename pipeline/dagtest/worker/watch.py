"""Catch a DAG file in the act: what it must not do while it is parsed, with the line that did it.

Python's audit events tell of files, sockets and processes whoever opens them; Airflow's variables and connections and
the database drivers written in C are wrapped. What is denied does not happen: the file gets an error instead.
"""

# It runs at every audit event: it makes no objects of paths, and it looks at frames.
# ruff: noqa: PTH100, PTH115, PTH118, SLF001

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dagtest.worker import mwaa_home
from pipeline.dagtest.worker.isolation import Tell

if TYPE_CHECKING:
    from types import CodeType, FrameType

MOST_EVENTS = 20  # of one file: what comes after them adds nothing
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# audit event → kind, and how many of its first arguments are paths (for files) or the words for people
NETWORK = {
    "socket.connect": "connect to",
    "socket.bind": "listen on",
    "socket.sendto": "send to",
    "socket.sendmsg": "send to",
    "socket.getaddrinfo": "look up",
    "socket.gethostbyname": "look up",
}
PROCESSES = {
    "subprocess.Popen": "subprocess",
    "os.system": "os.system",
    "os.fork": "os.fork",
    "os.forkpty": "os.forkpty",
    "os.exec": "os.exec",
    "os.posix_spawn": "os.posix_spawn",
    "os.spawn": "os.spawn",
}
# audit event → what it does, the indices of paths in its arguments, the index of a descriptor they are relative to
FILES: dict[str, tuple[str, tuple[int, ...], int | None]] = {
    "os.remove": ("remove", (0,), 1),
    "os.rmdir": ("remove", (0,), 1),
    "os.rename": ("rename", (0, 1), 2),
    "os.mkdir": ("make", (0,), 2),
    "os.truncate": ("truncate", (0,), None),
    "os.chmod": ("change the mode of", (0,), 2),
    "os.chown": ("change the owner of", (0,), 3),
    "os.link": ("link", (0, 1), 2),
    "os.symlink": ("link", (1,), 2),
    "os.utime": ("touch", (0,), 3),
    "shutil.rmtree": ("remove", (0,), 1),
    "shutil.move": ("move", (0, 1), None),
}


# What is read here belongs to the machine, not to the team. Airflow's environment does, too.
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib", f"{sys.base_prefix}{os.sep}")


# Packages in MWAA's image that are written in C in part, and read no files there.
COMPUTING = frozenset(
    {"_cffi_backend", "aiohttp", "charset_normalizer", "cryptography", "frozenlist", "greenlet", "lazy_object_proxy"}
    | {"markupsafe", "msgspec", "multidict", "propcache", "psutil", "pydantic_core", "rpds", "sqlalchemy", "tornado"}
    | {"wrapt", "yarl"}
)


class AccessWhileParsing(PermissionError):  # noqa: N818 - people read its name in a traceback
    """What a DAG file was kept from doing."""


@dataclass
class Watch:
    """What one file does while it is parsed.

    Attributes:
        dag_folder: Frames in here are the team's own code.
        project: What is in here must not be changed, except in `home`.
        home: Airflow's own folder, with the DAG folder in it as `dags`.
        environment: Where Airflow is installed.
        tell: Takes each event at once.
        file: The DAG file.
        deny: Kinds that are prevented; the others are only told.
        read: Files that were opened, whether they exist or not.
        listed: Folders whose names were read.
        denied: Whether anything was prevented.
    """

    dag_folder: str
    project: str
    home: str
    environment: str
    tell: Tell
    file: str = ""
    deny: frozenset[str] = frozenset()
    read: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    denied: bool = False
    _told: set[tuple[str, str, int | None]] = field(default_factory=set)
    _paused: bool = False
    _looking: bool = False
    _within: int = 0

    def install(self) -> None:
        """From here to the end of the process."""
        reactions: dict[str, Callable[[str, tuple[Any, ...]], None]] = {
            "open": self._open,
            "os.listdir": self._list,
            "os.scandir": self._list,
            "sqlite3.connect": self._sqlite,
            "os.kill": self._signal,
            "os.killpg": self._signal,
            **dict.fromkeys(NETWORK, self._network),
            **dict.fromkeys(PROCESSES, self._process),
            **dict.fromkeys(FILES, self._change),
        }
        find = reactions.get

        tempfile.gettempdir()  # known from here on: whoever looks for it holds a lock that the hook would wait for

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            reaction = find(event)
            if reaction is not None:
                reaction(event, arguments)

        sys.addaudithook(hook)
        end = os._exit

        def told_exit(code: int) -> None:
            self.note("exit", f"os._exit({code})")
            end(code)

        os._exit = told_exit  # type: ignore[assignment]  # the same signature, but for NoReturn

    def turn_to(self, file: str, deny: frozenset[str]) -> None:
        """From here on, watch this file."""
        self.file, self.deny = file, deny
        self.read, self.listed, self.denied = set(), set(), False
        self._told = set()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens now is no longer parsing; what is denied still does not happen."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    @contextmanager
    def within(self, kind: str, what: str) -> Iterator[None]:
        """One access; what it takes to answer it (the database, a secrets manager) is not told again."""
        if not self._within:
            self.note(kind, what)
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1

    def note(self, kind: str, what: str) -> None:
        """Tell of an access, if the team's code did it; deny it if so configured."""
        if self._within:
            return
        line, via = self._place()
        if line is None and not via and threading.current_thread() is threading.main_thread():
            return  # Airflow's own doing
        if not self._paused and len(self._told) < MOST_EVENTS and (kind, what, line) not in self._told:
            self._told.add((kind, what, line))
            self.tell({"kind": kind, "what": what, "line": line, "via": via})
        if kind in self.deny:
            self.denied = True
            raise AccessWhileParsing(f"{what}: not while a DAG file is parsed")

    def _place(self) -> tuple[int | None, str]:
        """The line in the file that is parsed; the innermost place, if that is another file of the team's."""
        line, via = None, ""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name == self.file:
                line = line or frame.f_lineno
            elif not via and line is None and name.startswith(self.dag_folder + os.sep):
                via = f"{name}:{frame.f_lineno}"
            frame = frame.f_back
        return line, via

    def _importing(self) -> bool:
        """Whether a library does it while it is imported: the team's code only says `import`."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            code: CodeType = frame.f_code
            if code.co_filename == self.file or code.co_filename.startswith(self.dag_folder + os.sep):
                return False
            if code.co_filename == "<frozen importlib._bootstrap>":
                return True
            frame = frame.f_back
        return False

    def _constructing(self) -> bool:
        """Whether Airflow asks its database by itself while it makes a DAG or a task, as Airflow 2 does of some."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name == self.file or name.startswith(self.dag_folder + os.sep):
                return False
            if frame.f_code.co_name == "__init__" and "/site-packages/airflow/" in name:
                return True
            frame = frame.f_back
        return False

    def _network(self, event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[0] if event.startswith("socket.get") else arguments[1]
        if event == "socket.bind" and self._importing():  # urllib3 tries whether there is IPv6
            return
        if event.startswith("socket.get") and _is_number(address):
            return  # nothing is asked for it; what connects to it is told
        if event.startswith("socket.get") and address in (None, "", socket.gethostname()):
            return  # its own name
        self.note("network", f"{NETWORK[event]} {_address(address, arguments[1:2] if 'get' in event else ())}")

    def _process(self, event: str, arguments: tuple[Any, ...]) -> None:
        what = arguments[1] if event == "subprocess.Popen" else (arguments[0] if arguments else "")
        self.started(what, PROCESSES[event])

    def started(self, what: Any, by: str = "multiprocessing") -> None:
        """A process is about to be started, with a command or the parts of one."""
        if self._importing():  # numpy, uuid: they ask the system what there is
            return
        words = " ".join(map(_text, what)) if isinstance(what, list | tuple) else _text(what)
        self.note("processes", f"{by} {words}".strip()[:200])

    def _sqlite(self, _: str, arguments: tuple[Any, ...]) -> None:
        database = str(arguments[0])
        if ":memory:" in database or not database:
            return
        if self.environment not in database:  # a path, or a URI with one
            self.note("database", f"connect to {database}")
        elif not self._constructing():
            self.note("database", "connect to Airflow's own database")

    def _signal(self, event: str, arguments: tuple[Any, ...]) -> None:
        line, via = self._place()
        what = f"{event}({arguments[0]}, {arguments[1]})"
        if line is not None or via:
            self.tell({"kind": "signal", "what": what, "line": line, "via": via})
        if not _is_ours(event, arguments[0]):
            raise AccessWhileParsing(f"{what}: not to a process that the DAG file did not start")

    def signalled(self, descriptor: int, number: int) -> None:
        """A signal is about to be sent to the process that a descriptor stands for."""
        process = 0  # of another machine's, as far as we can see
        with suppress(OSError), open(f"/proc/self/fdinfo/{int(descriptor)}", encoding="ascii") as told:  # noqa: PTH123
            process = next((int(line.split()[1]) for line in told if line.startswith("Pid:")), 0)
        self._signal("signal.pidfd_send_signal", (process or -1, number))

    def _open(self, _: str, arguments: tuple[Any, ...]) -> None:
        path, _mode, flags = arguments
        if isinstance(path, int):
            return
        name = os.fsdecode(path)
        found = name if name.startswith("/") else os.path.abspath(name)
        if isinstance(flags, int) and flags & WRITING:
            self._changed("write", found)
        elif not found.startswith((self.environment, *SYSTEM)):
            self.read.add(self._real(found))

    def _list(self, _: str, arguments: tuple[Any, ...]) -> None:
        path, frame = arguments[0], sys._getframe(1).f_back
        while frame is not None and frame.f_code.co_filename == mwaa_home.__file__:
            frame = frame.f_back
        if isinstance(path, int) or frame is None:
            return
        if "importlib" not in frame.f_code.co_filename:
            self.listed.add(self._real(os.path.abspath(os.fsdecode(path or "."))))

    def looked_at(self, path: Any) -> None:
        """The team's code asked whether a file or folder is there, for its size or its times; or jinja did."""
        if self._looking or isinstance(path, int) or (not self._paused and self._place() == (None, "")):
            return
        self._looking = True  # `_real` looks itself
        try:
            found = self._real(os.path.abspath(os.fsdecode(path)))
        finally:
            self._looking = False
        if found.startswith(self.project + os.sep) and not found.startswith((self.environment, self.home)):
            self.read.add(found)
            self.listed.add(found)

    def _real(self, path: str) -> str:
        """The DAG folder's own path for what is reached by way of Airflow's home."""
        return os.path.realpath(path) if path.startswith(self.home) else path

    def _change(self, event: str, arguments: tuple[Any, ...]) -> None:
        what, places, relative_to = FILES[event]
        for place in places:
            path = arguments[place]
            if isinstance(path, int):
                continue
            found = os.fsdecode(path)
            descriptor = arguments[relative_to] if relative_to is not None and relative_to < len(arguments) else -1
            if isinstance(descriptor, int) and descriptor >= 0 and not found.startswith("/"):
                try:
                    found = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), found)
                except OSError:
                    found = os.path.join(self.project, found)  # cannot be told: taken for the worst
            self._changed(what, os.path.abspath(found))

    def _changed(self, what: str, path: str) -> None:
        real = os.path.realpath(path)
        bytecode = os.path.join(self.environment, "bytecode")
        if real.startswith((self.home + os.sep, bytecode + os.sep, "/dev/")) or "__pycache__" in real:
            return
        temporary = tempfile.gettempdir()
        if real.startswith(temporary + os.sep) and not real.startswith(self.project + os.sep):
            return
        if real == temporary and what == "write":  # a file without a name, as tempfile.TemporaryFile makes it
            return
        shown = os.path.relpath(real, self.project) if real.startswith(self.project) else real
        self.note("files", f"{what} {shown}")


def _is_ours(event: str, target: int) -> bool:
    """Whether a signal goes to the file's own processes: all that it starts is in the group that its process leads."""
    group = os.getpgrp()
    if event == "os.killpg":
        return target in (0, group)
    if target <= 0:
        return target in (0, -group)
    with suppress(ProcessLookupError):
        return os.getpgid(target) == group
    return True  # there is no such process


def _address(address: Any, more: tuple[Any, ...]) -> str:
    if isinstance(address, tuple) and len(address) > 1:
        return f"{address[0]}:{address[1]}"
    text = _text(address)
    port = more[0] if more and isinstance(more[0], int | str) and more[0] else None
    return f"{text}:{port}" if port else text


def _text(value: Any) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _is_number(host: Any) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError, TypeError):
            socket.inet_pton(family, _text(host))
            return True
    return False


def own_files(dag_folder: Path, before: int) -> list[str]:
    """The files of the team's own modules, none of which are among the first `before` modules."""
    folder = str(dag_folder) + os.sep
    found = [getattr(module, "__file__", None) for _, module in _modules_after(before)]
    return sorted({path for path in found if isinstance(path, str) and path.startswith(folder)})


def own_packages(dag_folder: Path, before: int) -> list[str]:
    """The team's packages that are only folders, none of which are among the first `before` modules."""
    folder = str(dag_folder) + os.sep
    return [
        name
        for name, module in _modules_after(before)
        if getattr(module, "__file__", None) is None
        and any(str(place).startswith(folder) for place in getattr(module, "__path__", ()))
    ]


def has_foreign_modules(before: int, libraries: frozenset[str]) -> bool:
    """Whether modules were imported that may read files in ways that Python does not tell of: written in C, that is."""
    known = {"airflow", *libraries, *COMPUTING, *sys.stdlib_module_names}
    return any(
        str(getattr(module, "__file__", "")).endswith(".so")
        and name.partition(".")[0] not in known
        and not name.endswith("__mypyc")  # Python's own code, compiled
        for name, module in _modules_after(before)
    )


def _modules_after(number: int) -> Iterator[tuple[str, Any]]:
    """The newest modules. Looking at the older ones would copy the pages they are on from the process we come from."""
    return islice(reversed(sys.modules.items()), max(0, len(sys.modules) - number))
