"""A DOCKER_CONFIG folder that knows one more registry, for as long as a command runs.

`docker login` would write the registry's password into the user's own file, in clear, and leave it there.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.errors import UsageError
from pipeline.images.registry import Login

_FILE = "config.json"
_MAPPINGS = ("auths", "credHelpers")
_MEND = "Mend it, or give another folder with --docker-config."


@contextmanager
def logged_in(own: Path, login: Login) -> Iterator[Path]:
    """A copy of the user's configuration folder that is logged in to a registry; it goes when the block ends.

    Args:
        own: The user's folder, usually `~/.docker`; it need not exist.
        login: The registry.
    """
    with TemporaryDirectory(prefix="docker-config-") as temporary:
        folder = Path(temporary)
        # Plugins, contexts, builders and certificates stay where they are.
        for entry in _entries(own):
            if entry.name != _FILE:
                (folder / entry.name).symlink_to(entry.resolve())
        document = with_login(_read(own / _FILE), login)
        target = folder / _FILE
        target.touch(mode=0o600)
        target.write_text(json.dumps(document), encoding="utf-8")
        yield folder


def with_login(document: dict[str, Any], login: Login) -> dict[str, Any]:
    """Docker's configuration with a registry's credentials in it, even where a credential store is set."""
    return document | {
        "auths": (document.get("auths") or {}) | {login.server: {"auth": login.basic}},
        # No helper for this registry: else Docker asks the user's store, which does not know it.
        "credHelpers": (document.get("credHelpers") or {}) | {login.server: ""},
    }


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise UsageError(f"the folder cannot be read: {error.strerror}", where=str(folder), mend=_MEND) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path), mend=_MEND) from None
    except ValueError as error:
        raise UsageError(f"not valid JSON: {error}", where=str(path), mend=_MEND) from None
    if not (isinstance(document, dict) and all(isinstance(document.get(key) or {}, dict) for key in _MAPPINGS)):
        raise UsageError("it is no configuration of Docker", where=str(path), mend=_MEND)
    return document
