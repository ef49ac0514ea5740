"""The build context on disk, made of exactly the inputs that the content tag counts.

Docker could be given the container's own folder; but then a stray umask, an empty folder, a time stamp, or a difference
between two builders' ignore rules would be in the image and not in its tag. The copy has the same files, one time for
all of them, and modes that say what the tag says: 0644, or 0755 where the owner may execute.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import PipelineError
from pipeline.images.containers import Container
from pipeline.images.inputs import Inputs, context_files, file_input, link_target

_MODES = {"file": 0o644, "executable": 0o755}
_FOLDER_MODE = 0o755
# 2 January 1980, UTC: the first day that ZIP files, wheels among them, can hold in every time zone.
_TIME = 315619200


@contextmanager
def build_context(container: Container, inputs: Inputs) -> Iterator[Path]:
    """A temporary folder with the container's build context; it goes when the block ends.

    Raises:
        PipelineError: A file changed since its inputs were read, or the disk is full.
    """
    with TemporaryDirectory(prefix=f"context-{container.name}-") as temporary:
        root = Path(temporary)
        try:
            _copy(context_files(container), inputs, root)
        except OSError as error:
            raise PipelineError(
                f"the build context cannot be copied: {error.strerror}", where=str(error.filename or root)
            ) from None
        yield root


def _copy(files: dict[str, str], inputs: Inputs, root: Path) -> None:
    if changed := sorted(files.keys() ^ inputs.files.keys()):
        raise _changed(changed[0])
    for path, source in sorted(files.items()):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if inputs.files[path].kind == "link":
            target.symlink_to(link_target(source))
        else:
            shutil.copyfile(source, target, follow_symlinks=False)
            target.chmod(_MODES[inputs.files[path].kind])
        if file_input(target) != inputs.files[path]:
            raise _changed(path)
    for entry in (root, *root.rglob("*")):
        if entry.is_dir() and not entry.is_symlink():
            entry.chmod(_FOLDER_MODE)
        os.utime(entry, (_TIME, _TIME), follow_symlinks=False)


def _changed(path: str) -> PipelineError:
    return PipelineError("the file changed while the images were built", where=path, mend="Run the command again.")
