"""What a builder prints, read for the reader: which lines tell something, and which step of the Dockerfile failed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# BuildKit, plain progress: "#8 [test 3/4] RUN pip install …", later "#8 ERROR: …"
_BUILDKIT_STEP = re.compile(r"^#(?P<number>\d+) (?P<step>\[.+?\] .+)$")
_BUILDKIT_ERROR = re.compile(r"^#(?P<number>\d+) ERROR:? ?(?P<cause>.*)$")
# The classic builder: "Step 3/5 : RUN pip install …"
_CLASSIC_STEP = re.compile(r"^Step \d+/\d+ : (?P<step>.+)$")

# What a RUN prints. BuildKit, while it runs: "#8 12.3 …"; when it has failed once more, between " > [2/3] RUN …" and
# "------". The classic builder: between " ---> Running in 0123456789ab" and " ---> …", without any mark.
_BUILDKIT_OUTPUT = re.compile(r"^#\d+ \d+\.\d+ ")
_BUILDKIT_FAILED = re.compile(r"^ > \[.+\]")
_BUILDKIT_FAILED_END = re.compile(r"^-{6}$")
_CLASSIC_RUNNING = re.compile(r"^ ---> Running in [0-9a-f]+$")
_CLASSIC_RAN = re.compile(r"^ ---> |^Removing intermediate container |^Step \d+/\d+ : ")
# The Dockerfile's own words: in a step's name, in the excerpt that shows where it failed, in the error of a RUN.
_QUOTED_LINE = re.compile(r"^#\d+ \[.+?\] |^ > \[|^Step \d+/\d+ : |^ *\d+ \| ")
_QUOTED_COMMAND = re.compile(
    r"(?<=process \").*(?=\" did not complete)|(?<=failed running \[).*(?=\]:)|(?<=The command ').*(?=' returned)",
    re.DOTALL,
)

LINES_READ = 15  # the last ones, in which the cause of a failure is looked for

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


@dataclass(frozen=True)
class Cause:
    """A failure whose cause is not in the Dockerfile.

    Attributes:
        pattern: How it is told.
        what: A part of a sentence.
        mend: What to do.
        by_programs: It meets the programs of the Dockerfile, too: then they tell it in the same words.
    """

    pattern: re.Pattern[str]
    what: str
    mend: str
    by_programs: bool = False


# As the docker commands (20.10 to 28), BuildKit, and the registries of ECR and of Docker's distribution say it.
_CAUSES = (
    Cause(
        re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE),
        "the disk is full",
        "Free some space, for instance with `docker system prune`, and run the command again.",
        by_programs=True,
    ),
    Cause(
        re.compile(
            r"Cannot connect to the Docker daemon|error during connect|transport is closing|code = Unavailable"
            r"|error reading from server: EOF|RemoteDisconnected|docker\.sock.*(refused|reset by peer|broken pipe)"
            r"|Connection aborted|no active session|Connection broken|^unexpected EOF$",
            re.IGNORECASE | re.MULTILINE,
        ),
        "the Docker engine went away",
        "See that the engine runs (`docker info`), and run the command again.",
    ),
    Cause(
        re.compile(r"toomanyrequests|429 Too Many Requests", re.IGNORECASE),
        "a registry limits how often images are pulled from it",
        "Take the base image from where pulls need no log-in and are hardly limited, such as "
        "public.ecr.aws/docker/library; on a machine of your own `docker login` will do, too.",
    ),
    Cause(
        re.compile(r"x509: |certificate verify failed", re.IGNORECASE),
        "the Docker engine does not trust a registry's certificate",
        "Give the engine the CA, such as a corporate one: as /etc/docker/certs.d/REGISTRY/ca.crt where it runs, or "
        "among its system's CAs and start it anew.",
    ),
    Cause(
        re.compile(r"name unknown: |repository with name .* does not exist", re.IGNORECASE),
        "a registry does not have the repository",
        "See that the base image's name is right. A container's own repository is made by the pipeline when it updates "
        "itself: push the commit that brings the container, and build in the pipeline's account and region.",
    ),
    Cause(
        re.compile(
            r"pull access denied|manifest unknown|failed to resolve source metadata for \S+: \S+: not found",
            re.IGNORECASE,
        ),
        "a base image does not exist, or may not be pulled",
        "See that its name and tag are right, or log in to its registry: docker login.",
    ),
    Cause(
        re.compile(r"dial tcp|TLS handshake timeout|request canceled while waiting for connection", re.IGNORECASE),
        "a registry cannot be reached",
        "See that its name is right, and that the Docker engine has a network or its proxy; run the command again.",
    ),
    Cause(
        re.compile(
            r"authorization token has expired|no basic auth credentials|authentication required|401 Unauthorized"
            r"|\bunauthorized\b",
            re.IGNORECASE,
        ),
        "the log-in to the registry is not valid, or not any more",
        "Run the command again: it logs in anew. If that does not help, log in to AWS again.",
    ),
    Cause(
        re.compile(
            r"not authorized to perform|403 Forbidden|requested access to the resource is denied", re.IGNORECASE
        ),
        "a registry, or a proxy before it, does not allow it",
        "See that whoever is logged in may pull the base images and push to the container's repository, as the "
        "pipeline's role build-images may; the policy of the repository counts, too.",
    ),
    Cause(
        re.compile(r"exec format error"),
        "this machine cannot run programs of that platform",
        "Register an emulator (Debian: apt-get install qemu-user-static), or build on a machine of that architecture.",
        by_programs=True,
    ),
    Cause(
        re.compile(r"--mount option requires BuildKit"),
        "the engine's classic builder knows no mounts",
        "Install Docker's buildx plugin.",
    ),
)


def known_cause(lines: Sequence[str]) -> Cause | None:
    """Why a build or push failed, if that is not for the Dockerfile to mend. The last lines decide.

    What a program of the Dockerfile prints is no word of the engine: pip, too, says "Connection broken" and "401".
    """
    last = _read(lines)[-LINES_READ:]
    everything = "\n".join(line for line, _ in last)
    by_builder = "\n".join(line for line, by_program in last if not by_program)
    return next((each for each in _CAUSES if each.pattern.search(everything if each.by_programs else by_builder)), None)


def tells_something(line: str) -> bool:
    """Whether a line is worth its place in a log of several builds."""
    return bool(line.strip()) and not _ROUTINE.match(line)


def _read(lines: Sequence[str]) -> list[tuple[str, bool]]:
    """Each line without what it quotes of the Dockerfile, and whether a program of the Dockerfile printed it.

    The last line is the builder's unless it has BuildKit's mark of output: with it the engine, or the SDK, ends.
    """
    read = []
    running = failed = False
    for number, line in enumerate(lines, start=1):
        running = not _CLASSIC_RAN.match(line) and running
        failed = not _BUILDKIT_FAILED_END.match(line) and failed
        by_program = bool(_BUILDKIT_OUTPUT.match(line)) or ((running or failed) and number < len(lines))
        running |= bool(_CLASSIC_RUNNING.match(line))
        failed |= bool(_BUILDKIT_FAILED.match(line))
        read.append(("" if _QUOTED_LINE.match(line) else _QUOTED_COMMAND.sub("", line), by_program))
    return read


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
