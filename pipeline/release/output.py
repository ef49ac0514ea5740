"""Files that a command is asked to write: whether that can be done is found out before anything else is."""

from pathlib import Path

from pipeline.errors import PipelineError, UsageError


def check(*paths: Path | None) -> None:
    """Make sure that files can be written later. Their folders are made; nothing else is left, and nothing emptied.

    Raises:
        UsageError: One cannot be written.
    """
    for path in filter(None, paths):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_there = path.exists()
            with path.open("ab"):
                pass
            if not is_there:
                path.unlink()
        except OSError as error:
            raise UsageError(_what(error), where=str(path), mend="Nothing was done. Give another path.") from None


def write(path: Path | None, text: str) -> None:
    """Write a file, if one is asked for.

    Raises:
        PipelineError: It cannot be written, though it could be before.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PipelineError(_what(error), where=str(path)) from None


def _what(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "the file cannot be written: a part of its path is a file, not a folder"
    return f"the file cannot be written: {error.strerror}"
