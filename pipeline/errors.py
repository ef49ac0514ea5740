"""The one error people see, and the exit codes of the `pipeline` command."""

from typing import ClassVar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LOCKED = 3
EXIT_INTERRUPTED = 130


class PipelineError(Exception):
    """A failure that is told to a person: what happened, where, and how to mend it.

    Args:
        what: One sentence with the value that caused it and what was expected.
        where: The place: a file, `cdk.json: environments.dev`, a stack, a bucket.
        mend: What the reader should do next, a command if there is one.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        """The three parts as plain text, a line each."""
        first = f"{self.where}: {self.what}" if self.where else self.what
        return f"{first}\n{self.mend}" if self.mend else first


class UsageError(PipelineError):
    """The command line or the settings are wrong: nothing was attempted."""

    exit_code = EXIT_USAGE


class LockedError(PipelineError):
    """Someone else is deploying to this environment."""

    exit_code = EXIT_LOCKED
