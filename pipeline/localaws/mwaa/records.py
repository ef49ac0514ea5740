"""What is kept of an environment on disk, so that it outlives the server."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pipeline.localaws.mwaa.configuration import Secrets

_FILE: Final = "environment.json"
_VARIABLES: Final = "variables.json"


@dataclass(frozen=True)
class Update:
    """An update under way: the environment to be, and how workers are replaced."""

    target: Mapping[str, Any]
    strategy: str


@dataclass(frozen=True)
class Record:
    """An environment.

    Attributes:
        document: As the API describes it.
        secrets: Its own, for as long as its database lives.
        port: The loopback port of its API server; 0 when none was chosen yet.
        update: The update that was not finished yet.
    """

    document: Mapping[str, Any]
    secrets: Secrets
    port: int = 0
    update: Update | None = None

    def describing(self, **members: Any) -> "Record":
        """The record with other members of the document."""
        return replace(self, document={**self.document, **members})

    def write(self, folder: Path) -> None:
        """Keep it. Only its owner may read it: the secrets are in it."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "document": self.document,
            "secrets": vars(self.secrets),
            "port": self.port,
            "update": vars(self.update) if self.update else None,
        }
        _write_private(folder / _FILE, json.dumps(content, indent=2, default=_time_as_json))


def read(folder: Path) -> Record | None:
    """The record in an environment's folder; None when there is none that can be read."""
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"), object_hook=_json_as_time)
        return Record(
            document=content["document"],
            secrets=Secrets(**content["secrets"]),
            port=int(content["port"]),
            update=Update(**content["update"]) if content["update"] else None,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, KeyError, TypeError):
        return None  # half a record, or one of another version: its environment is made anew


def write_variables(folder: Path, variables: Mapping[str, str]) -> None:
    """Keep the variables its Airflow runs with, for a shell beside it; only its owner may read them."""
    _write_private(folder / _VARIABLES, json.dumps(variables, indent=1))


def read_variables(folder: Path) -> dict[str, str] | None:
    """The variables its Airflow was started with; None when it never was."""
    try:
        found = json.loads((folder / _VARIABLES).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return {str(name): str(value) for name, value in found.items()}


def new_secrets() -> Secrets:
    """Secrets nobody has used before."""
    return Secrets(
        fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt=secrets.token_hex(64),
        session=secrets.token_hex(32),
    )


def _write_private(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _time_as_json(value: object) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"{value!r} is no value of an API document")


def _json_as_time(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value["$time"]) if set(value) == {"$time"} else value
