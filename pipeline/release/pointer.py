"""`releases/current.json`: which release an environment runs, and who is changing that right now. Pure.

The pointer and the lock are one object on purpose. A deploy takes the lock by a conditional write on the very object
its plan was made from, so a plan that someone else has overtaken can never be executed, and switching to the new
release lets the lock go in the same atomic write.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError
from pipeline.release.record import PartName

POINTER_KEY = "releases/current.json"
POINTER_FORMAT = 1


@dataclass(frozen=True)
class Lock:
    """Who is changing the environment.

    Attributes:
        owner: For people: a CodeBuild build, or a person at a machine.
        token: Tells two locks of one owner apart.
        purpose: `sync`, `rollback`.
        since: When it was taken (ISO 8601, the owner's clock; for people only).
        seconds: How long after its last renewal others may take it over.
    """

    owner: str
    token: str
    purpose: str
    since: str
    seconds: int


@dataclass(frozen=True)
class Pointer:
    """The content of the object.

    Attributes:
        release: The current release; None before the first one is complete.
        serial: Grows with every write. Without it, a lock taken and let go would leave the content, and so the ETag,
            as it was, and a plan made before could be executed after.
        lock: Who is changing the environment now.
        restores: The deploy (by its release) that a rollback is restoring, or was when it failed: whoever comes next
            must know what the bucket is a mix of.
        unsettled: Parts that a release is changing, or was when it failed: MWAA may be pinned to versions that no
            release records.
        unfinished: A release began and did not end: the bucket may hold files of it, and Airflow errors.
        failing: Files that Airflow could not import before a release that did not end, or was taken back: what fails
            beside them may be of its making, and in Airflow outlive it. None without such a release, or where Airflow
            was not asked.
    """

    release: str | None
    serial: int = 0
    lock: Lock | None = None
    restores: str | None = None
    unsettled: tuple[PartName, ...] = ()
    unfinished: bool = False
    failing: tuple[str, ...] | None = None

    def dump(self) -> bytes:
        """As stored in the bucket."""
        return json.dumps({"format": POINTER_FORMAT, **asdict(self)}, indent=1).encode()


_STORED = TypeAdapter(Pointer)


def parse_pointer(content: bytes, *, where: str) -> Pointer:
    """The pointer stored in the bucket.

    Raises:
        PipelineError: The content is not what this version writes.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("format") != POINTER_FORMAT:
            wrong = "it is of another format, or none"
        else:
            # Before there was such a note, a lock meant the same.
            return _STORED.validate_python({"unfinished": bool(document.get("lock")), "serial": None, **document})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    except (ValueError, RecursionError) as error:
        wrong = f"it is no JSON: {error}"
    raise PipelineError(
        f"this does not say which release is current in format {POINTER_FORMAT}: {wrong}",
        where=where,
        mend="Restore the object's last version, or delete it to publish everything as a first release.",
    )


def expired(lock: Lock, *, written: datetime, now: datetime) -> bool:
    """Whether the owner has been silent too long.

    Both times are S3's own (Last-Modified and Date of one response), so no machine's clock matters.
    """
    return (now - written).total_seconds() > lock.seconds
