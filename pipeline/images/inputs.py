"""Everything that decides an image, as a value that can be recorded, compared and turned into a tag.

What is normalised, so that a checkout, a ZIP without git metadata and a fresh clone elsewhere agree:

| property | what counts |
| --- | --- |
| mode | whether the owner may execute it, all that git records; a umask does not count |
| owner, times | nothing |
| folders | nothing but the paths of the files in them; git records no empty folder |
| links | the target as written, not followed |
| Dockerfile, ignore file | always, even where the ignore file names them: the builder reads them |

The builder is given exactly these files with exactly these modes (`context.py`), so the tag and the image cannot part.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import PipelineError, UsageError
from pipeline.images.containers import DOCKERFILE, Container
from pipeline.images.dockerignore import IGNORE_FILE, is_special, parse, sent_files

IN_MEMORY = 1024 * 1024  # bytes; a larger file is read piece by piece

Kind = Literal["file", "executable", "link"]


@dataclass(frozen=True)
class FileInput:
    """One file of the build context.

    Attributes:
        kind: `file`, `executable` or `link`.
        sha256: Of the content; of the target when it is a link. Lower-case hexadecimal.
    """

    kind: Kind
    sha256: str


@dataclass(frozen=True)
class Inputs:
    """Everything that decides one image.

    Attributes:
        platforms: In Docker's words, sorted.
        target: The Dockerfile's stage, "" for the last one.
        arguments: Build arguments a team set; the base's address, which names an account, is not among them.
        base: (container, content tag) of the base that is ours.
        files: Path with slashes → what it is, sorted by path.
    """

    platforms: tuple[str, ...]
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    base: tuple[str, str] | None = None
    files: Mapping[str, FileInput] = field(default_factory=dict)


def read_inputs(container: Container, base_tag: str | None) -> Inputs:
    """The inputs of a container's image, from its folder.

    Args:
        container: The container.
        base_tag: The content tag of its base, when it has one.

    Raises:
        UsageError: The context is empty, or holds what no build can carry.
        PipelineError: A file cannot be read.
    """
    files = {path: file_input(file) for path, file in sorted(context_files(container).items())}
    return Inputs(
        platforms=tuple(sorted(container.platforms)),
        target=container.target,
        arguments=dict(sorted(container.arguments.items())),
        base=(container.base, base_tag) if container.base is not None and base_tag is not None else None,
        files=files,
    )


def context_files(container: Container) -> dict[str, str]:
    """Path in the build context → file on disk, of everything the build is sent.

    Raises:
        UsageError: Nothing is left of the context although the Dockerfile copies from it.
        PipelineError: A folder or the ignore file cannot be read.
    """
    try:
        ignore = ignore_file(container)
        patterns = parse(ignore.read_text(encoding="utf-8", errors="surrogateescape"), str(ignore)) if ignore else ()
        files = {path: entry.path for path, entry in sent_files(container.folder, patterns)}
    except OSError as error:
        raise _unreadable(error) from None
    always = [container.folder / DOCKERFILE, *([ignore] if ignore else [])]
    if not files.keys() - {path.name for path in always} and container.dockerfile().copies_files:
        raise UsageError(
            f"the build context is empty, but the {DOCKERFILE} copies files from it",
            where=str(container.folder),
            mend=f"Add the files, or let {IGNORE_FILE} leave some in.",
        )
    return files | {path.name: str(path) for path in always}


def ignore_file(container: Container) -> Path | None:
    """The ignore file that counts: the Dockerfile's own one before the folder's (BuildKit's order), or None."""
    candidates = (container.folder / f"{DOCKERFILE}{IGNORE_FILE}", container.folder / IGNORE_FILE)
    return next((path for path in candidates if path.is_file()), None)


def file_input(path: str | Path) -> FileInput:
    """One file as it counts. Plain calls of the system: this runs for every file of every container.

    Raises:
        UsageError: It is of a kind that no build context can carry.
        PipelineError: It cannot be read.
    """
    try:
        status = os.lstat(path)
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            return FileInput("link", hashlib.sha256(os.fsencode(link_target(path))).hexdigest())
        if is_special(mode):
            raise UsageError(
                "a socket, pipe or device cannot be part of a build context",
                where=str(path),
                mend=f"Remove it, or name it in {IGNORE_FILE}.",
            )
        digest = _digest_of_small(path, status.st_size) if status.st_size <= IN_MEMORY else _digest_of_large(path)
    except OSError as error:
        raise _unreadable(error) from None
    return FileInput("executable" if mode & stat.S_IXUSR else "file", digest)


def link_target(path: str | Path) -> str:
    """A link's target as written: a Path would take `./x` and `x` for one."""
    return os.readlink(path)  # noqa: PTH115 - see above


def shown(path: str) -> str:
    """A path as people see it: quoted where it would not be one line of text, or would write more than it says."""
    return path if path.isprintable() else repr(path)


def _digest_of_small(path: str | Path, size: int) -> str:
    """Read in one go: most of the time of a plan is spent here, and `open` would take twice as long."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = os.read(descriptor, size + 1)
    finally:
        os.close(descriptor)
    return hashlib.sha256(content).hexdigest() if len(content) == size else _digest_of_large(path)


def _digest_of_large(path: str | Path) -> str:
    with Path(path).open("rb", buffering=0) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _unreadable(error: OSError) -> PipelineError:
    return PipelineError(
        f"the build context cannot be read: {error.strerror}",
        where=str(error.filename),
        mend="Make it readable."
        if str(error.filename).endswith(IGNORE_FILE)
        else f"Make it readable, or name it in {IGNORE_FILE}.",
    )
