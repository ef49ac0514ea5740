"""What is remembered of tasks on disk: a server that was killed still knows which tasks it ran.

A file for each task, as DescribeTasks shows it. Values only, but for reading and writing the files.
"""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

KEPT: Final = 500  # AWS shows a stopped task for an hour or more; a count is kinder to who debugs on a laptop

Document = dict[str, Any]


class TaskRecords:
    """The tasks of one local AWS, by id, in the order in which they were started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks: dict[str, Document] = {}
        self._lock = threading.Lock()

    def load(self) -> list[Document]:
        """Read what an earlier server left; the tasks that it did not see end are returned, STOPPED now."""
        self._folder.mkdir(parents=True, exist_ok=True)
        found = [_read(path) for path in self._folder.glob("*.json")]
        with self._lock:
            for document in sorted(found, key=lambda each: str(each["createdAt"])):
                self._tasks[_id(document)] = document
        interrupted = [document for document in self.all() if document["lastStatus"] != "STOPPED"]
        ended = [_interrupted(document) for document in interrupted]
        for document in ended:
            self.put(document)
        return ended

    def put(self, document: Document) -> None:
        """Remember a task as it is now, unless another thread has already brought a later version of it."""
        task_id = _id(document)
        path = self._folder / f"{task_id}.json"
        new = path.with_suffix(".new")
        with self._lock:
            if self._tasks.get(task_id, document)["version"] > document["version"]:
                return
            self._tasks[task_id] = document
            new.write_text(json.dumps(document, default=_as_text), encoding="utf-8")
            new.replace(path)
            self._forget()

    def get(self, task_id: str) -> Document | None:
        """A task, or None."""
        with self._lock:
            return self._tasks.get(task_id)

    def all(self) -> list[Document]:
        """Every task."""
        with self._lock:
            return list(self._tasks.values())

    def _forget(self) -> None:
        ended = [task_id for task_id, document in self._tasks.items() if document["lastStatus"] == "STOPPED"]
        for task_id in ended[:-KEPT]:
            del self._tasks[task_id]
            (self._folder / f"{task_id}.json").unlink(missing_ok=True)


def _id(document: Mapping[str, Any]) -> str:
    return str(document["taskArn"]).rpartition("/")[2]


def _interrupted(document: Document) -> Document:
    now = datetime.now(UTC)
    containers = [
        {"reason": "ContainerRuntimeError: the local AWS was killed while the container ran"}
        | container
        | {"lastStatus": "STOPPED"}
        for container in document["containers"]
    ]
    first = {
        "stopCode": "TerminationNotice",
        "stoppedReason": "The local AWS was killed while the task ran.",
        "stoppingAt": now,
        "executionStoppedAt": now,
    }
    last = {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stoppedAt": now, "containers": containers}
    return first | document | last | {"version": document["version"] + 1}


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} does not belong into a task")


def _read(path: Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    times = {key: datetime.fromisoformat(text) for key, text in document.items() if key.endswith("At")}
    return document | times
