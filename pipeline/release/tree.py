"""The working tree's share of a release: the files of `dags/` that are shipped (see `shipped.py`), with checksums."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import PipelineError
from pipeline.names import RELEASE_FILE
from pipeline.release.imports import imports_of, order
from pipeline.release.plugins import zip_folder
from pipeline.release.record import PartName
from pipeline.release.shipped import is_left_out, is_shipped

DAGS_PREFIX = "dags/"
PART_KEYS: dict[PartName, str] = {
    "requirements": "requirements.txt",
    "plugins": "plugins.zip",
    "startup": "startup.sh",
}
_LONGEST_KEY = 1024  # bytes of UTF-8 (S3 user guide, object keys)
_CHUNK = 1 << 20
_LARGE = 8 << 20  # bytes: larger files are not held in memory, of which a build has little
_UNTRUSTED = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class Source:
    """Something to publish.

    Attributes:
        key: Where it goes in the bucket.
        sha256: Of the content, in hexadecimal.
        md5: What the bucket's listing shows as ETag when the content is already there and not encrypted with KMS.
        size: In bytes.
        level: Its place in the order of publishing.
        path: Where the content is read from; None when `content` holds it.
        content: Generated content.
    """

    key: str
    sha256: str
    md5: str
    size: int
    level: int = 0
    path: Path | None = None
    content: bytes | None = None

    def read(self) -> bytes:
        """The content, as gathered.

        Raises:
            PipelineError: The file is not what it was when its checksum was taken.
        """
        content = _bytes(self.path) if self.path is not None else self.content or b""
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise self._changed()
        return content

    @contextmanager
    def opened(self) -> Iterator["bytes | BinaryIO"]:
        """The content to upload: small ones from memory, large ones as the open file.

        Raises:
            PipelineError: The file is not what it was when its checksum was taken.
        """
        if self.path is None or self.size <= _LARGE:
            yield self.read()
            return
        if _from_disk(self.key, self.path).sha256 != self.sha256:
            raise self._changed()
        with self.path.open("rb") as file:
            yield file

    def _changed(self) -> PipelineError:
        return PipelineError(
            "the file changed while it was being published", where=str(self.path), mend="Run the command again."
        )


@dataclass(frozen=True)
class Tree:
    """What a working tree wants an environment to hold.

    Attributes:
        files: Files of the DAG folder by key.
        parts: requirements, plugins and startup script; those the tree does not have are absent.
        imports: The import graph of the DAG folder, by path below it.
    """

    files: dict[str, Source]
    parts: dict[PartName, Source]
    imports: dict[str, frozenset[str]]

    def with_release_file(self, content: bytes) -> "Tree":
        """The tree and the `_release.json` of the environment it goes to."""
        return replace(self, files=dict(sorted({**self.files, RELEASE_FILE: generated(RELEASE_FILE, content)}.items())))


NO_TREE = Tree({}, {}, {})


def generated(key: str, content: bytes, level: int = 0) -> Source:
    """Content that exists in memory only."""
    return _from_memory(key, content, level, None)


def gather(dags: Path) -> Tree:
    """Read the DAG folder.

    Levels: 0 are files that are read, not imported (`_release.json`, SQL, YAML); Python starts at 1, imports first and
    DAG files last.

    Raises:
        PipelineError: The folder is missing, something in it cannot be read, a name cannot be a key, or a link leads
            outside.
    """
    if not dags.is_dir():
        raise PipelineError(
            "the DAG folder does not exist", where=str(dags), mend="Run the command in the project's folder."
        )
    paths = {relative: path for relative, path in _walk(dags, "") if is_shipped(relative)}
    python = {name: _bytes(path) for name, path in paths.items() if name.endswith(".py")}
    graph = imports_of(python)
    level = order(python, graph)
    files = {
        DAGS_PREFIX + name: _from_memory(DAGS_PREFIX + name, python[name], level[name] + 1, path)
        if name in python
        else _from_disk(DAGS_PREFIX + name, path)
        for name, path in paths.items()
    }
    return Tree(files=dict(sorted(files.items())), parts=_parts(dags), imports=graph)


def _parts(dags: Path) -> dict[PartName, Source]:
    parts: dict[PartName, Source] = {}
    single_files: tuple[PartName, ...] = ("requirements", "startup")
    for name in single_files:
        path = dags / PART_KEYS[name]
        if path.exists():
            parts[name] = _from_disk(PART_KEYS[name], _inside(path, dags))
    plugins = dags / "plugins"
    if plugins.is_dir() and (members := dict(_walk(plugins, ""))):
        parts["plugins"] = generated(PART_KEYS["plugins"], zip_folder(members))
    return parts


def _walk(folder: Path, prefix: str, root: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Every file to ship below a folder, in order: path relative to the folder walked first, and where it is read."""
    root = root or folder
    for entry in _entries(folder):
        if is_left_out(entry.name):
            continue
        path = Path(entry.path)
        relative = _checked(f"{prefix}{entry.name}", path)
        if entry.is_symlink():
            target = _inside(path, root)
            if target.is_dir():
                raise PipelineError(
                    "links to folders are not followed", where=str(path), mend="Replace the link by the folder itself."
                )
            if not target.is_file():
                raise _no_file(path)
            yield relative, target
        elif entry.is_dir():
            if entry.name != "tests":
                yield from _walk(path, f"{relative}/", root)
        elif entry.is_file():
            yield relative, path
        else:
            raise _no_file(path)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PipelineError(f"the folder cannot be read: {error.strerror}", where=str(folder)) from None


def _inside(path: Path, root: Path) -> Path:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise PipelineError(
            f"the link leads nowhere: {error}", where=str(path), mend="Remove or correct the link."
        ) from None
    if not target.is_relative_to(root.resolve()):
        raise PipelineError(
            f"the link leads out of {root.name}/, to {target}",
            where=str(path),
            mend="Copy the file into the folder: what is outside is not part of the release.",
        )
    return target


def _no_file(path: Path) -> PipelineError:
    """A pipe or a device would be read forever."""
    return PipelineError("this is neither a file nor a folder", where=str(path), mend="Remove it.")


def _checked(relative: str, path: Path) -> str:
    try:
        encoded = (DAGS_PREFIX + relative).encode()
    except UnicodeEncodeError:
        raise PipelineError("the name is not valid UTF-8, so it cannot be an S3 key", where=repr(str(path))) from None
    if len(encoded) > _LONGEST_KEY:
        raise PipelineError(f"the name is longer than {_LONGEST_KEY} bytes, the most S3 takes", where=str(path))
    if _UNTRUSTED.search(relative):
        raise PipelineError(
            "the name holds a control character or a backslash, which MWAA's copy cannot be trusted with",
            where=repr(str(path)),
            mend="Rename the file.",
        )
    return relative


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _from_memory(key: str, content: bytes, level: int, path: Path | None) -> Source:
    return Source(
        key=key,
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        size=len(content),
        level=level,
        path=path,
        content=None if path else content,
    )


def _from_disk(key: str, path: Path) -> Source:
    """A file of any size, never held in memory."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise _unreadable(path, error) from None
    return Source(key=key, sha256=sha256.hexdigest(), md5=md5.hexdigest(), size=size, path=path)


def _unreadable(path: Path, error: OSError) -> PipelineError:
    return PipelineError(f"the file cannot be read: {error.strerror}", where=str(path))
