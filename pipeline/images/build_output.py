"""What a builder printed, read for the reader: which step of the Dockerfile failed."""

import re
from collections.abc import Sequence

# BuildKit, plain progress: "#8 [test 3/4] RUN pip install …", later "#8 ERROR: …"
_BUILDKIT_STEP = re.compile(r"^#(?P<number>\d+) (?P<step>\[.+?\] .+)$")
_BUILDKIT_ERROR = re.compile(r"^#(?P<number>\d+) ERROR:? ?(?P<cause>.*)$")
# The classic builder: "Step 3/5 : RUN pip install …"
_CLASSIC_STEP = re.compile(r"^Step \d+/\d+ : (?P<step>.+)$")


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
