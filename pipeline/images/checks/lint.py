"""What hadolint says of a Dockerfile. A team's own `.hadolint.yaml`, and comments in the Dockerfile, count."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.process import CommandError, run

PROGRAM = "hadolint"
SECONDS = 30
# "info" and "style" are matters of taste: a warning that one does not mend teaches to overlook the others.
THRESHOLD = "warning"


@dataclass(frozen=True)
class Remark:
    """One remark of the linter."""

    line: int
    code: str
    message: str


def lint(dockerfile: Path) -> tuple[Remark, ...]:
    """The linter's remarks about a Dockerfile.

    Raises:
        PipelineError: The linter is not installed, or does not understand the file or its own settings.
    """
    program = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or PROGRAM
    command = [program, "--format=json", f"--failure-threshold={THRESHOLD}", str(dockerfile)]
    try:
        answer = run(command, timeout=SECONDS)
    except CommandError as error:
        answer = error.output  # code 1 with remarks at or above the threshold
    return remarks(answer)


def remarks(answer: str) -> tuple[Remark, ...]:
    """Read what the linter printed, and leave out what is below the threshold.

    Raises:
        PipelineError: It is no list of remarks.
    """
    try:
        return tuple(
            Remark(int(each["line"]), str(each["code"]), str(each["message"]))
            for each in json.loads(answer or "[]")
            if each["level"] in ("error", THRESHOLD)
        )
    except (ValueError, KeyError, TypeError):
        raise PipelineError(f"{PROGRAM} does not understand the file: {answer.strip()[:300]}") from None
