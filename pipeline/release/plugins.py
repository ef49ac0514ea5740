"""`plugins.zip`, byte for byte the same for the same files. Pure, but for reading them."""

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import PipelineError

_OLDEST_TIME = (1980, 1, 1, 0, 0, 0)  # the first a ZIP can express
_UNIX = 3

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)  # an end-of-directory record alone: what MWAA gets when the plugins are gone


def zip_folder(members: Mapping[str, Path]) -> bytes:
    """A ZIP of files, by their names in it.

    Stored, not deflated: compressed bytes differ between versions of zlib, and the content would seem to have changed.
    Of the file mode only "executable" counts, as in git.

    Raises:
        PipelineError: A file cannot be read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(members.items()):
            info = zipfile.ZipInfo(name, _OLDEST_TIME)
            info.create_system = _UNIX
            executable, content = _read(path)
            info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _read(path: Path) -> tuple[bool, bytes]:
    try:
        return bool(path.stat().st_mode & stat.S_IXUSR), path.read_bytes()
    except OSError as error:
        raise PipelineError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
