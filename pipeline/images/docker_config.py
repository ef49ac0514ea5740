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
        for entry in own.iterdir() if own.is_dir() else ():
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
        "auths": document.get("auths", {}) | {login.server: {"auth": login.basic}},
        # No helper for this registry: else Docker asks the user's store, which does not know it.
        "credHelpers": document.get("credHelpers", {}) | {login.server: ""},
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UsageError(f"not valid JSON: {error}", where=str(path)) from None
    return document if isinstance(document, dict) else {}
