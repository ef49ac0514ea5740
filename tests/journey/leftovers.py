"""What of a local AWS is still on the machine."""

import re
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def leftovers(folder: Path) -> list[str]:
    """Processes, mounts and sockets that belong to the local AWS of a project, as lines for people.

    Args:
        folder: The project's; everything of its local AWS names it, or runs in it.
    """
    name = str(folder)
    return [*_processes(name), *_lines("mounts", name), *_lines("net/unix", name)]


def _processes(name: str) -> list[str]:
    found = []
    for process in PROC.iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if name in words or str((process / "cwd").readlink()).startswith(name):
                found.append(f"process {process.name}: {words}")
    return found


def _lines(table: str, name: str) -> list[str]:
    text = (PROC / "self" / table if table == "mounts" else PROC / table).read_text(encoding="utf-8")
    return [f"{table}: {line}" for line in text.splitlines() if re.search(re.escape(name), line)]
