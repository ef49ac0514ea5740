"""The names of the project's containers. Whether each is well declared is for the images to say."""

import tomllib
from pathlib import Path


def tasks_and_bases(folder: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The containers that run as tasks, and those that are bases of others only."""
    tasks: set[str] = set()
    bases: set[str] = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        if (path / "Dockerfile").is_file():
            (tasks if _is_task(path / "container.toml") else bases).add(path.name)
    return frozenset(tasks), frozenset(bases)


def _is_task(declaration: Path) -> bool:
    try:
        return tomllib.loads(declaration.read_text(encoding="utf-8")).get("task", True) is not False
    except (FileNotFoundError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return True
