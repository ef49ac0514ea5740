"""Builds: starting, stopping, retrying and showing them."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

from pipeline.localaws.codebuild.pages import in_order, page
from pipeline.localaws.codebuild.records import BuildRecord
from pipeline.localaws.codebuild.runner import Runner
from pipeline.localaws.codebuild.submission import submit
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, ServiceError


class Builds:
    """The build operations of the API, and the threads that run builds."""

    region: LocalRegion
    runner: Runner
    builds: dict[str, BuildRecord]
    _waiting: SimpleQueue[BuildRecord | None]
    _workers: list[threading.Thread]
    _numbers: Counter[str]
    _tokens: dict[str, str]
    _submitting: threading.Lock

    def project(self, name: str) -> dict[str, Any]:
        """A project by name."""
        raise NotImplementedError

    def announce(self, build: dict[str, Any]) -> None:
        """Tell EventBridge."""
        raise NotImplementedError

    def start_build(self, request: Document, call: Call) -> Document:  # noqa: ARG002 - every operation's signature
        """Submit a build; a free place runs it at once."""
        project = self.project(request["projectName"])
        with self._submitting:
            known = self._tokens.get(request.get("idempotencyToken") or "")
            if known:
                return {"build": self.builds[known].snapshot()}
            limit = project.get("concurrentBuildLimit")
            running = [build for build in self._of_project(project["name"]) if build.in_progress]
            if limit is not None and len(running) >= limit:
                raise ServiceError(
                    "AccountLimitExceededException",
                    f"Cannot have more than {limit} builds in queue for the project {project['name']}",
                )
            self._numbers[project["name"]] += 1
            document, inputs = submit(self.region, project, request, self._numbers[project["name"]])
            record = BuildRecord(document, inputs, self.announce)
            self.builds[record.id] = record
            if token := request.get("idempotencyToken"):
                self._tokens[token] = record.id
        record.enter("SUBMITTED")
        record.leave("SUCCEEDED")
        record.enter("QUEUED")
        answer = record.snapshot()
        record.announce()
        self._waiting.put(record)
        return {"build": answer}

    def retry_build(self, request: Document, call: Call) -> Document:
        """Start a build again with the arguments it had."""
        record = self._build(request.get("id", ""))
        again = {key: value for key, value in record.inputs["request"].items() if key != "idempotencyToken"}
        return self.start_build({**again, **{k: v for k, v in request.items() if k == "idempotencyToken"}}, call)

    def stop_build(self, request: Document, _: Call) -> Document:
        """Stop a build. It ends a moment later; stopping one that has ended changes nothing."""
        record = self._build(request["id"])
        if record.in_progress:
            record.stopped.set()
            if record.take():
                self._end_waiting(record, "STOPPED", "Build was stopped")
        return {"build": record.snapshot()}

    def batch_get_builds(self, request: Document, _: Call) -> Document:
        """Builds by id or ARN."""
        ids = {wanted: wanted.rpartition("build/")[2] for wanted in request["ids"]}
        return {
            "builds": [self.builds[own].snapshot() for own in ids.values() if own in self.builds],
            "buildsNotFound": [wanted for wanted, own in ids.items() if own not in self.builds],
        }

    def list_builds(self, request: Document, _: Call) -> Document:
        """Ids of all builds, the newest first."""
        return page(in_order(list(self.builds), request, default="DESCENDING"), request, key="ids")

    def list_builds_for_project(self, request: Document, _: Call) -> Document:
        """Ids of a project's builds, the newest first."""
        own = [build.id for build in self._of_project(self.project(request["projectName"])["name"])]
        return page(in_order(own, request, default="DESCENDING"), request, key="ids")

    def start_workers(self, count: int) -> None:
        """Let so many builds run at once; the others wait in the order they came."""
        for number in range(count):
            worker = threading.Thread(target=self._work, name=f"build {number}", daemon=True)
            worker.start()
            self._workers.append(worker)

    def stop_workers(self) -> None:
        """Stop all builds and wait until their processes have ended."""
        for record in list(self.builds.values()):
            record.stopped.set()
        for _ in self._workers:
            self._waiting.put(None)
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def _work(self) -> None:
        while (record := self._waiting.get()) is not None:
            if not record.take():
                continue
            build = record.snapshot()
            if record.stopped.is_set():
                self._end_waiting(record, "STOPPED", "Build was stopped")
            elif datetime.now(UTC) - build["startTime"] > timedelta(minutes=build["queuedTimeoutInMinutes"]):
                self._end_waiting(record, "TIMED_OUT", "Build has timed out in the queue")
            else:
                record.leave("SUCCEEDED")
                self.runner.run(record)

    def _end_waiting(self, record: BuildRecord, status: str, message: str) -> None:
        record.leave(status, "", message)
        record.finish(status)

    def _of_project(self, name: str) -> list[BuildRecord]:
        return [build for build in self.builds.values() if build.id.partition(":")[0] == name]

    def _build(self, wanted: str) -> BuildRecord:
        try:
            return self.builds[wanted.rpartition("build/")[2]]
        except KeyError:
            raise ServiceError("ResourceNotFoundException", f"Build not found: {wanted}") from None
