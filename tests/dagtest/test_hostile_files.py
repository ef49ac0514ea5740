"""DAG files that do their worst while a real Airflow imports them: each is named, none harms another."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.dagtest.importing import RESULT
from tests.dagtest.projects import Run, make_project, run

HEAD = (
    "import os, socket, sys, shutil, subprocess, threading, urllib.request; from airflow.sdk import BaseHook  # DAG\n"
)
DAG = "from airflow.sdk import DAG, BaseHook, Connection, Variable\nDAG('{name}')\n"
LIMIT = 6  # seconds
FORGED = json.dumps({name: None if name == "error" else [3] for name in RESULT})

# name → what it does, the rule that names it, how its message begins (the head is line 1, what it does follows)
DEEDS: dict[str, tuple[str, str, str]] = {
    "loops": ("while True: pass", "imports", ":2: importing it did not end within 6 s"),
    "sleeps": ("import time\ntime.sleep(60)", "imports", ":3: importing it did not end within 6 s"),
    "leaves": ("sys.exit(0)", "imports", ":2: it ends the process that imports it, as sys.exit() does"),
    "drops": ("os._exit(0)", "imports", ":2: importing it ended its process with code 0 (os._exit(0))"),
    "dies": ("os.kill(os.getpid(), 9)", "imports", ":2: importing it was killed by SIGKILL (os.kill("),
    "kills": (
        "os.kill(os.getppid(), 9)",
        "imports",
        ":2: pipeline.dagtest.worker.watch.AccessWhileParsing: os.kill(",
    ),
    "kills_by_descriptor": (
        "import signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
        "imports",
        ":3: pipeline.dagtest.worker.watch.AccessWhileParsing: signal.pidfd_send_signal(",
    ),
    "shows_and_sleeps": (
        "import time, traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()\ntime.sleep(60)",
        "imports",
        ":4: importing it did not end within 6 s",
    ),
    "forges": (
        "for n in range(3, 40):\n    try: os.write(n, b'{{\"result\": 1}}\\n')\n    except OSError: pass\nos._exit(0)",
        "imports",
        ":5: importing it told of itself what our own code does not tell",
    ),
    **{
        f"forges_{name}": (
            f"for n in range(3, 40):\n    try: os.write(n, b{line!r})\n    except OSError: pass\nos._exit(0)",
            "imports",
            f":5: importing it {'ended its process' if name == 'nothing' else 'told of itself'}",
        )
        for name, line in {
            "nothing": "null\n[1]\n",
            "an_event": '{{"x": 1}}\n',
            "dags": json.dumps({"result": FORGED}).replace("{", "{{").replace("}", "}}") + "\n",
        }.items()
    },
    "crashes": ("import ctypes\nctypes.string_at(0)", "imports", ":3: importing it was killed by SIGSEGV"),
    "eats": ("x = bytearray(5_000_000_000)", "imports", ":2: it needs more than 2 GiB of memory"),
    "prints": ("print('x' * 3_000_000)", "output", ": it printed 3,000,001 bytes while it was parsed"),
    "connects": ("socket.create_connection(('127.0.0.1', {port}))", "no-network", ":2: connect to 127.0.0.1:{port}"),
    "fetches": ("urllib.request.urlopen('http://example.invalid/')", "no-network", ":2: look up example.invalid:80"),
    "listens": ("socket.socket().bind(('127.0.0.1', 0))", "no-network", ":2: listen on 127.0.0.1:0"),
    "forks": ("os.fork()", "no-processes", ":2: os.fork"),
    "starts": ("subprocess.run(['sleep', '60'])", "no-processes", ":2: subprocess sleep 60"),
    "spawns": (
        """import multiprocessing
code = "open('spawned', 'w').write('x')"
multiprocessing.get_context('spawn').Process(target=exec, args=(code,)).start()""",
        "no-processes",
        ":4: multiprocessing ",
    ),
    "shares": (
        "from multiprocessing import shared_memory\nshared_memory.SharedMemory(create=True, size=8).unlink()",
        "no-processes",
        ":3: multiprocessing ",
    ),
    "shells": ("os.system('sleep 60')", "no-processes", ":2: os.system sleep 60"),
    "razes": ("shutil.rmtree(os.path.dirname(__file__))", "no-writes", ":2: remove dags"),
    "razes_quietly": (
        "shutil.rmtree(os.path.dirname(__file__), ignore_errors=True)",
        "no-writes",
        ":2: remove dags",
    ),
    "overwrites": ("open(__file__, 'w')", "no-writes", ":2: write dags/overwrites.py"),
    "unlinks": ("os.unlink('dags/good.py')", "no-writes", ":2: remove dags/good.py"),
    "connection": ("BaseHook.get_connection('db')", "no-connections", ":2: connection 'db'"),
    "sqlite": ("import sqlite3\nsqlite3.connect('/tmp/x.db')", "no-database", ":3: connect to /tmp/x.db"),
    "postgres": ("import psycopg2\npsycopg2.connect('host=db')", "no-database", ":3: connect to PostgreSQL"),
    "helped": ("import helping", "no-variables", ":2: Variable.get 'x', in dags/helping.py:3"),
}
OTHERS: dict[str, str | bytes] = {
    "good.py": HEAD + DAG.format(name="good"),
    "latin.py": "# airflow DAG \nx = 'é'\n".encode("latin-1"),
    "nothing.py": "# airflow dag, but there is none\n",
    "helping.py": "from airflow.sdk import Variable\n\nVariable.get('x', default=None)\n",
    ".airflowignore": "fargate.py\nhelping.py\n",
    "plugins/airflow_local_settings.py": "print('a plugin may print')\n",
    "thread.py": HEAD
    + "t = threading.Thread(target=lambda: [x for x in iter(int, 1)], daemon=True)\nt.start()\n"
    + DAG.format(name="thread"),
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that nobody must reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
        server.settimeout(0.1)
        with suppress(TimeoutError):
            server.accept()
            raise AssertionError("a DAG file reached the network")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, port: int) -> tuple[Run, Path, float]:
    files = {
        f"{name}.py": HEAD + deed.format(port=port) + "\n" + DAG.format(name=name)
        for name, (deed, _, _) in DEEDS.items()
    }
    project = make_project(tmp_path_factory.mktemp("hostile"), {**OTHERS, **files}, seconds=LIMIT)
    started = time.monotonic()
    found = run(project)
    return found, project, time.monotonic() - started


@pytest.mark.parametrize("name", DEEDS)
def test_what_a_file_does_is_told_by_the_rule_against_it_with_the_line(
    hostile: tuple[Run, Path, float], name: str, port: int
) -> None:
    _, rule, begins = DEEDS[name]
    said = hostile[0].said()
    assert said.get((f"{name}.py", rule), f"nothing; but {said}").startswith(
        f"dags/{name}.py{begins.format(port=port)}"
    )


def test_a_file_that_is_not_utf8_says_so(hostile: tuple[Run, Path, float]) -> None:
    assert "(unicode error) 'utf-8' codec can't decode byte 0xe9" in hostile[0].said()["latin.py", "imports"]


def test_every_other_file_is_unaffected_and_the_folder_is_as_it_was(hostile: tuple[Run, Path, float]) -> None:
    found, project, _ = hostile
    assert not [rule for name, rule in found.said() if name in ("good.py", "nothing.py", "thread.py")]
    assert "holds no DAG" in found.said("skipped")["nothing.py", "schedules"]
    assert {path.name for path in (project / "dags").iterdir()} >= {
        "good.py",
        "fargate.py",
        *(f"{n}.py" for n in DEEDS),
    }
    assert (project / "dags" / "overwrites.py").stat().st_size > 0


def test_the_run_ends_in_its_time(hostile: tuple[Run, Path, float]) -> None:
    assert hostile[2] < 60


@pytest.mark.parametrize("airflow", ["3.3.1", "2.10.3"])
def test_a_file_may_be_the_first_to_ask_for_a_temporary_folder(tmp_path: Path, airflow: str) -> None:
    first = "import json, tempfile\nfrom airflow import DAG\nwith tempfile.TemporaryFile():\n    pass\n"
    found = run(make_project(tmp_path, {"first.py": first}, airflow, seconds=LIMIT))
    assert not found.said()
