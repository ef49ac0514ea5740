"""A project's local cache: folders that a later build of the project finds again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.process import run

_WILD: Final = "*?[{"
_COPY_SECONDS: Final = 600.0


def folder_of(path: str, source: Path, home: Path) -> Path | None:
    """The folder that a cache path stands for, or None when it lies outside of the build.

    | path                        | folder                 |
    | --------------------------- | ---------------------- |
    | `/root/.cache/pip/**/*`     | `HOME/.cache/pip`      |
    | `~/.npm`                    | `HOME/.npm`            |
    | `node_modules/**/*`         | `SOURCE/node_modules`  |
    | `/var/lib/thing`, `../up`   | None                   |
    | `**/*`                      | None: it is everything |
    """
    parts = []
    for part in path.split("/"):
        if any(character in part for character in _WILD):
            break
        parts.append(part)
    plain = "/".join(parts).rstrip("/")
    for prefix in ("/root", "~", "$HOME", "${HOME}"):
        if plain.startswith(f"{prefix}/"):
            root, relative = home, plain.removeprefix(f"{prefix}/")
            break
    else:
        root, relative = source, plain
    if not relative or relative.startswith("/") or ".." in relative.split("/") or relative == ".":
        return None
    return root / relative


def restore(paths: Sequence[str], kept: Path, source: Path, home: Path) -> list[str]:
    """Copy what earlier builds kept; returns the paths that were restored."""
    restored = []
    for path in paths:
        folder = folder_of(path, source, home)
        if folder is not None and (kept / _key(path)).is_dir():
            _copy(kept / _key(path), folder)
            restored.append(path)
    return restored


def save(paths: Sequence[str], kept: Path, source: Path, home: Path) -> list[str]:
    """Keep the folders for later builds; returns the paths that were saved."""
    saved = []
    for path in paths:
        folder = folder_of(path, source, home)
        if folder is not None and folder.is_dir():
            new = kept / f"{_key(path)}.new"
            shutil.rmtree(new, ignore_errors=True)
            _copy(folder, new)
            shutil.rmtree(kept / _key(path), ignore_errors=True)
            new.replace(kept / _key(path))
            saved.append(path)
    return saved


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run(["cp", "--archive", "--reflink=auto", f"{source}/.", str(target)], timeout=_COPY_SECONDS)


def _key(path: str) -> str:
    return path.replace("%", "%25").replace("/", "%2F")
