"""What a builder prints, read for the reader: which lines tell something, and which step of the Dockerfile failed."""

import re
from collections.abc import Sequence

# BuildKit, plain progress: "#8 [test 3/4] RUN pip install …", later "#8 ERROR: …"
_BUILDKIT_STEP = re.compile(r"^#(?P<number>\d+) (?P<step>\[.+?\] .+)$")
_BUILDKIT_ERROR = re.compile(r"^#(?P<number>\d+) ERROR:? ?(?P<cause>.*)$")
# The classic builder: "Step 3/5 : RUN pip install …"
_CLASSIC_STEP = re.compile(r"^Step \d+/\d+ : (?P<step>.+)$")

# Lines that come for every step or layer whatever happens. When a build fails they are shown all the same.
_ROUTINE = re.compile(
    r"""
      ^\#\d+[ ](sha256:[0-9a-f]{64}|DONE[ ]0\.0s|(transferring|naming[ ]to|writing[ ]image|exporting[ ]layers)\b.*)$
    | ^\#\d+[ ]\[internal\][ ]load[ ].*$
    | ^[0-9a-f]{12}:[ ](Preparing|Waiting|Pushed|Pushing.*|Layer[ ]already[ ]exists|Mounted[ ]from[ ].*)$
    | ^[ ]?--->[ ].*$
    | ^Removing[ ]intermediate[ ]container[ ].*$
    """,
    re.VERBOSE,
)


def tells_something(line: str) -> bool:
    """Whether a line is worth its place in a log of several builds."""
    return bool(line.strip()) and not _ROUTINE.match(line)


def failed_step(lines: Sequence[str]) -> str:
    """The Dockerfile's step that failed, as the builder calls it; "" when none had begun."""
    steps: dict[str, str] = {}
    last = ""
    for line in lines:
        if found := _BUILDKIT_STEP.match(line):
            steps.setdefault(found["number"], found["step"])
        elif (found := _BUILDKIT_ERROR.match(line)) and found["cause"] != "CANCELED":
            return steps.get(found["number"], "")
        elif found := _CLASSIC_STEP.match(line):
            last = found["step"]
    return last
