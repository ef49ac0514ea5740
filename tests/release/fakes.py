"""In-memory twins of the ports: the bucket, MWAA, Airflow."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, BinaryIO

from pipeline.release.airflow import AirflowAnswerError
from pipeline.release.bucket import ABSENT, ConflictError, Listed, Stored, Written
from pipeline.release.mwaa import Replacement, State
from pipeline.release.record import PartName

EPOCH = datetime(2026, 11, 7, tzinfo=UTC)


@dataclass
class FakeBucket:
    """A versioned bucket that enforces conditions, as S3 does; it notes what was written, in order.

    `opaque`: ETags are as S3 makes them where it encrypts with KMS: every write has its own, whatever the content.
    """

    name: str = "fake"
    opaque: bool = False
    requests: int = 0
    written: list[str] = field(default_factory=list)
    _versions: dict[str, list[bytes | None]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def keeps_versions(self) -> bool:
        self.requests += 1
        return True

    def listing(self, prefix: str) -> dict[str, Listed]:
        found = {
            key: Listed(self._etag(key), len(content))
            for key, versions in sorted(self._versions.items())
            if key.startswith(prefix) and (content := versions[-1]) is not None
        }
        self.requests += max(1, -(-len(found) // 1000))
        return found

    def get(self, key: str, version: str | None = None) -> Stored | None:
        self.requests += 1
        content = self._versions.get(key, [None])[-1 if version is None else int(version)]
        return None if content is None else Stored(content, self._etag(key, version), EPOCH, EPOCH)

    def head(self, key: str, version: str | None = None) -> Written | None:
        self.requests += 1
        content = self._versions.get(key, [None])[-1 if version is None else int(version)]
        at = version or str(len(self._versions.get(key, [])) - 1)
        if content is None:
            return None
        return Written(self._etag(key, at), at, hashlib.sha256(content).hexdigest())

    def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = None) -> Written:
        body = content if isinstance(content, bytes) else content.read()
        assert hashlib.sha256(body).hexdigest() == sha256
        return self._write(key, body, expected)

    def copy(self, key: str, version: str, *, expected: str | None = None) -> Written:
        return self._write(key, self._versions[key][int(version)], expected)

    def delete(self, keys: Collection[str], expected: Mapping[str, str] | None = None) -> None:
        self.requests += -(-len(keys) // 1000)
        for key in keys:
            self._check(key, (expected or {}).get(key))
            self._versions[key].append(None)
            self.written.append(key)

    def _write(self, key: str, content: bytes | None, expected: str | None) -> Written:
        assert content is not None
        with self._lock:
            self.requests += 1
            self._check(key, expected)
            self._versions.setdefault(key, []).append(content)
            self.written.append(key)
            return Written(self._etag(key), str(len(self._versions[key]) - 1))

    def _check(self, key: str, expected: str | None) -> None:
        now = self._versions.get(key, [None])[-1]
        if expected is not None and expected != (ABSENT if now is None else self._etag(key)):
            raise ConflictError(f"{key} is not as expected")

    def _etag(self, key: str, version: str | None = None) -> str:
        at = len(self._versions[key]) - 1 if version is None else int(version)
        content = self._versions[key][at]
        assert content is not None
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return f"{etag} as written {at}" if self.opaque else etag


@dataclass
class FakeClock:
    """Time that passes only where somebody waits."""

    now: float = 0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeMwaa:
    """An MWAA environment that takes a number of looks to update, and may fail."""

    name: str = "etl-dev"
    pinned: dict[PartName, str] = field(default_factory=dict)
    status: str = "AVAILABLE"
    looks: int = 2
    fails_with: str = ""
    pip: Callable[[str], list[str]] = lambda _: ["Successfully installed"]  # version of the requirements → its log
    calls: list[tuple[dict[PartName, str], Replacement]] = field(default_factory=list)
    _wanted: dict[PartName, str] | None = None
    _left: int = 0
    _update: str | None = None
    _error: str = ""

    def state(self) -> State:
        if self._wanted is not None:
            self._left -= 1
            if self._left < 0:
                self._finish()
        return State(
            status=self.status,
            pinned=dict(self.pinned),
            update=self._update,
            updated=EPOCH + timedelta(hours=len(self.calls)),
            error=self._error,
        )

    def pin(self, versions: Mapping[PartName, str], replacement: Replacement) -> None:
        self.calls.append((dict(versions), replacement))
        self._wanted, self._left = dict(versions), self.looks
        # As MWAA does: for a moment the status is still the old one.
        self._update = "PENDING"

    def requirements_log(self, since: datetime) -> list[str]:
        assert since == EPOCH + timedelta(hours=len(self.calls)), "only what this update brought"
        return self.pip(self.pinned["requirements"])

    def _finish(self) -> None:
        assert self._wanted is not None
        if self.fails_with:
            self.status, self._update, self._error = "UPDATE_FAILED", "FAILED", self.fails_with
        else:
            self.pinned |= self._wanted
            self.status, self._update, self._error = "AVAILABLE", "SUCCESS", ""
        self._wanted = None


@dataclass
class FakeAirflow:
    """An Airflow whose DAG folder is whatever `files` gives when `copy` is called: file → (DAG ids, text) or an error.

    Times are a counter: nothing may depend on a clock.
    """

    dags: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tick: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    run_states: list[str] = field(default_factory=lambda: ["queued", "running", "success"])
    each_look: Callable[["FakeAirflow"], None] = lambda _: None

    def parse(self, file: str, text: str, *ids: str, error: str = "") -> None:
        """Parse a file: its former DAGs and errors go, what it defines now comes."""
        self.tick += 1
        self.remove(file)
        if error:
            self.errors[file], self.found[file] = error, f"t{self.tick}"
            return
        for name in ids:
            self.dags[name] = {"dag_id": name, "relative_fileloc": file, "last_parsed_time": f"t{self.tick}"}
            self.sources[name] = text

    def remove(self, file: str) -> None:
        self.errors.pop(file, None)
        self.dags = {name: dag for name, dag in self.dags.items() if dag["relative_fileloc"] != file}

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        self.asked.append(path)
        start = int((query or {}).get("offset", 0))
        if path == "/dags":
            if start == 0:
                self.each_look(self)
            items = list(self.dags.values())
            return {"dags": items[start : start + 100], "total_entries": len(items)}
        if path == "/importErrors":
            errors = [
                {"filename": file, "stack_trace": trace, "timestamp": self.found.get(file)}
                for file, trace in self.errors.items()
            ]
            return {"import_errors": errors[start : start + 100], "total_entries": len(errors)}
        if path.endswith("/dagRuns"):
            if self.runs:
                self.runs[-1]["state"] = self.run_states.pop(0) if len(self.run_states) > 1 else self.run_states[0]
            wanted = (query or {}).get("state")
            runs = [run for run in self.runs if wanted in (None, run["state"])]
            return {"dag_runs": runs, "total_entries": len(runs)}
        if path.endswith("/taskInstances"):
            failed = [{**run, "task_id": "smoke"} for run in self.runs if run["state"] == "failed"]
            return {"task_instances": failed, "total_entries": len(failed)}
        if path.startswith("/dags/"):
            if path.removeprefix("/dags/") not in self.dags:
                raise AirflowAnswerError(404, "no such DAG", where=path)
            return self.dags[path.removeprefix("/dags/")]
        return {"content": self.sources[path.removeprefix("/dagSources/")]}

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        assert path.endswith("/dagRuns")
        assert body["logical_date"] is None
        self.runs.append({"dag_id": path.split("/")[2], "dag_run_id": body["dag_run_id"], "state": "queued"})
        return self.runs[-1]
