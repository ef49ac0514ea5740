"""DAGs from the bucket into Airflow's folder, as MWAA does: file by file, what changed only, removing what is gone."""

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

_GONE: Final = ("NoSuchKey", "404")
# MWAA's Airflow parses every file about every 30 s for ever, and who waits for a release relies on it. Ours does so for
# a while after a change, and then leaves the machine alone.
_PARSED_EVERY: Final = 25.0
_RESTLESS: Final = 150.0


@dataclass(frozen=True)
class Copying:
    """What to do so that the folder is as the bucket. Paths are below the DAG folder."""

    fetch: tuple[str, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.fetch or self.remove)


def plan(bucket: Mapping[str, str], folder: Mapping[str, str], present: Collection[str]) -> Copying:
    """Compare by ETag.

    Args:
        bucket: Path → ETag, as listed now.
        folder: Path → ETag, as fetched before.
        present: The paths that are there.
    """
    return Copying(
        fetch=tuple(sorted(p for p, etag in bucket.items() if folder.get(p) != etag or p not in present)),
        remove=tuple(sorted(set(folder) - set(bucket))),
    )


def touched(changed: Iterable[str], sources: Mapping[str, str]) -> frozenset[str]:
    """The Python files that may use what changed, directly or not: those Airflow should parse again.

    Airflow parses a file again when the file changed; MWAA's parses all of them all the time. A file uses a module when
    it holds its name as a word, and may use anything that is no module: a document beside the DAGs is read by a helper.

    Args:
        changed: Paths that were written or removed.
        sources: Path → text of every Python file there is now.
    """
    changed = list(changed)
    if any(not path.endswith(".py") for path in changed):
        return frozenset(sources)
    words = {path: frozenset(re.findall(r"\w+", text)) for path, text in sources.items()}
    found: set[str] = set()
    waiting = changed
    while waiting:
        path = PurePosixPath(waiting.pop())
        name = path.parent.name if path.name == "__init__.py" else path.stem
        users = {user for user, said in words.items() if name in said and user not in found and user != str(path)}
        found |= users
        waiting += users
    return frozenset(found)


def is_safe(path: str) -> bool:
    """Whether a key names a file below the folder; folders' placeholders and ways out of it are none."""
    parts = path.split("/")
    return bool(path) and not path.endswith("/") and not any(part in ("", ".", "..") for part in parts)


class DagFolder:
    """The DAG folder of one environment.

    Args:
        s3: An S3 client.
        folder: Where Airflow looks for DAGs.
        record: Where it is written down what was fetched.
    """

    def __init__(self, s3: Any, folder: Path, record: Path) -> None:
        self._s3 = s3
        self._folder = folder
        self._record = record
        self._known = _read(record)
        self._trouble = ""
        self._touched_at = self._restless_until = 0.0

    def copy(self, bucket: str, prefix: str) -> Copying:
        """One round. A bucket that cannot be listed leaves everything as it is."""
        try:
            listed = self._list(bucket, prefix)
        except (ClientError, BotoCoreError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("DAGs are not copied: %s", error)
            return Copying((), ())
        self._trouble = ""
        present = {path for path in listed if (self._folder / path).is_file()}
        todo = plan(listed, self._known, present)
        if not todo:
            self._parse_again()
            return todo
        changed = [path for path in todo.fetch if self._fetch(bucket, prefix, path, listed[path])]
        changed += [path for path in todo.remove if self._remove(path)]
        _write(self._record, self._known)
        self._touch(touched(changed, self._sources()))
        self._restless_until = monotonic() + _RESTLESS
        return todo

    def _parse_again(self) -> None:
        now = monotonic()
        if self._touched_at + _PARSED_EVERY < now < self._restless_until:
            self._touch(self._sources())

    def _list(self, bucket: str, prefix: str) -> dict[str, str]:
        start = f"{prefix.strip('/')}/"
        found: dict[str, str] = {}
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
            for item in page.get("Contents", []):
                path = item["Key"].removeprefix(start)
                if is_safe(path):
                    found[path] = item["ETag"]
        return found

    def _fetch(self, bucket: str, prefix: str, path: str, etag: str) -> bool:
        target = self._folder / path
        try:
            content = self._s3.get_object(Bucket=bucket, Key=f"{prefix.strip('/')}/{path}")["Body"].read()
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.new")
            new.write_bytes(content)
            new.replace(target)
        except (ClientError, BotoCoreError, OSError) as error:
            # It went since it was listed, or a file stands where a folder must be: the next round decides again.
            if not (isinstance(error, ClientError) and error.response["Error"]["Code"] in _GONE):
                log.warning("%s is not copied: %s", path, error)
            return False
        self._known[path] = etag
        return True

    def _remove(self, path: str) -> bool:
        target = self._folder / path
        target.unlink(missing_ok=True)
        self._known.pop(path, None)
        for parent in target.parents:
            if parent == self._folder or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
        return True

    def _sources(self) -> dict[str, str]:
        return {
            str(path.relative_to(self._folder)): path.read_text(encoding="utf-8", errors="replace")
            for path in self._folder.rglob("*.py")
        }

    def _touch(self, paths: Iterable[str]) -> None:
        """Let Airflow parse files again, which looks at their times."""
        self._touched_at = monotonic()
        for path in paths:
            os.utime(self._folder / path)


def _read(record: Path) -> dict[str, str]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {str(path): str(etag) for path, etag in found.items()} if isinstance(found, dict) else {}


def _write(record: Path, known: Mapping[str, str]) -> None:
    new = record.with_suffix(".new")
    new.write_text(json.dumps(known, indent=1), encoding="utf-8")
    new.replace(record)
