"""ZIP files as CodeBuild writes and reads them: file modes and symbolic links survive, nothing lands outside."""

import shutil
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pipeline.errors import PipelineError

_LEVEL: Final = 1  # artifacts travel over loopback: speed matters, size does not
_LOOSE: Final = 0o777


@dataclass(frozen=True)
class Entry:
    """A file for an archive.

    Attributes:
        source: The file.
        name: Its path in the archive.
        link: Whether a symbolic link is kept as one, instead of the file it points to.
    """

    source: Path
    name: str
    link: bool = False


def pack(entries: Iterable[Entry], target: IO[bytes]) -> None:
    """Write an archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for entry in entries:
            if entry.link and entry.source.is_symlink():
                info = zipfile.ZipInfo(entry.name)
                info.create_system = 3  # Unix: the mode below means what it says
                info.external_attr = (stat.S_IFLNK | _LOOSE) << 16
                archive.writestr(info, str(entry.source.readlink()))
                continue
            info = zipfile.ZipInfo.from_file(entry.source, entry.name, strict_timestamps=False)
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = _LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - the one way to set it with open()
            with entry.source.open("rb") as content, archive.open(info, "w") as into:
                shutil.copyfileobj(content, into, 1 << 20)


def unpack(archive_file: Path, folder: Path) -> None:
    """Write the files of an archive below a folder.

    Links are made last, so that no entry can be written through one.

    Raises:
        PipelineError: It is no ZIP file, or an entry would lie outside of the folder.
    """
    try:
        with zipfile.ZipFile(archive_file) as archive:
            entries = archive.infolist()
            for info in entries:
                if not _is_link(info):
                    _extract(archive, info, folder / _safe(info.filename))
            for info in filter(_is_link, entries):
                target = folder / _safe(info.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(archive.read(info).decode())
    except zipfile.BadZipFile as error:
        raise PipelineError(f"the source is no ZIP file: {error}") from None
    except OSError as error:  # two entries of which one is in the other's way
        raise PipelineError(f"the source cannot be unpacked: {error}") from None


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    if info.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as content, target.open("wb") as into:
        shutil.copyfileobj(content, into, 1 << 20)
    if mode := (info.external_attr >> 16) & _LOOSE:
        target.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise PipelineError(f"the archive has an entry that would be written outside of its folder: {name!r}")
    return path
