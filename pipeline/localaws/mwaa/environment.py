"""The life of one environment, in a thread of its own: created, kept in order, updated or restored, deleted."""

import logging
import queue
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa.airflow import Airflow, EndedError, World
from pipeline.localaws.mwaa.airflow_client import AirflowClient
from pipeline.localaws.mwaa.declaration import last_update
from pipeline.localaws.mwaa.records import Record, Update

log = logging.getLogger(__name__)

TICK: Final = 3.0  # seconds between two rounds of copying DAGs, sending logs and looking after processes
_PROBLEM: Final = "INCORRECT_CONFIGURATION"  # what MWAA's errors of an update are called


class Environment:
    """An environment. Its public methods may be called by any thread; the work is done by its own."""

    def __init__(self, world: World, folder: Path, record: Record) -> None:
        self._folder = folder
        self._record = record
        self._lock = threading.RLock()
        self._orders: queue.Queue[str] = queue.Queue()
        self._ending = threading.Event()
        name = str(record.document["Name"])
        self._airflow = Airflow(world, folder, name, record.secrets, record.port)
        self._thread = threading.Thread(target=self._live, name=f"mwaa {name}", daemon=True)

    @property
    def record(self) -> Record:
        """All that is kept of it."""
        with self._lock:
            return self._record

    @property
    def airflow(self) -> AirflowClient:
        """A client of its Airflow."""
        return self._airflow.client

    @property
    def gone(self) -> bool:
        """Whether it was deleted."""
        return bool(self.record.document["Status"] == "DELETED")

    def start(self) -> None:
        """Take up life where the record left it."""
        self._thread.start()

    def update(self, target: Mapping[str, Any], strategy: str) -> None:
        """Become what `target` describes."""
        pending = last_update("PENDING", datetime.now(UTC), strategy)
        with self._lock:
            began = replace(self._record, update=Update(target, strategy))
            self._keep(began.describing(Status="UPDATING", LastUpdate=pending))
        self._orders.put("update")

    def describe(self, **members: Any) -> None:
        """Change members of its description that its Airflow does not know of."""
        with self._lock:
            update = self._record.update
            if update:
                self._keep(replace(self._record, update=replace(update, target={**update.target, **members})))
            self._keep(self._record.describing(**members))

    def delete(self) -> None:
        """End, and leave nothing."""
        self._become("DELETING")
        self._orders.put("delete")

    def end(self) -> None:
        """Begin to end its processes, because the server stops; the record and the database stay."""
        self._ending.set()
        self._airflow.end()
        self._orders.put("end")

    def join(self, seconds: float) -> None:
        """Wait until its thread has ended."""
        if self._thread.ident:
            self._thread.join(seconds)

    def _live(self) -> None:
        try:
            self._airflow.stop()  # what a killed server left
            self._resume()
            while not self._ending.is_set():
                try:
                    order = self._orders.get(timeout=TICK)
                except queue.Empty:
                    self._tick()
                    continue
                if order == "update":
                    self._update()
                elif order == "delete":
                    self._delete()
                    return
        except EndedError:
            pass
        except Exception:
            log.exception("the environment %s is no longer looked after", self._folder.name)
            self._become("UNAVAILABLE")
        finally:
            self._airflow.stop()

    def _resume(self) -> None:
        """Go on where the record says it was."""
        before = self.record.document["Status"]
        if before == "DELETING":
            self._orders.put("delete")
        elif before == "CREATING":
            self._create()
        elif self.record.update:
            self._orders.put("update")
        elif before != "CREATE_FAILED":
            self._become("MAINTENANCE")
            try:
                self._bring_up(self.record.document)
            except PipelineError as error:
                log.warning("the environment %s does not come up again: %s", self._folder.name, error)
                self._become("UNAVAILABLE")
            else:
                self._become("UPDATE_FAILED" if before == "UPDATE_FAILED" else "AVAILABLE")

    def _create(self) -> None:
        try:
            self._bring_up(self.record.document)
        except PipelineError as error:
            log.warning("the environment %s could not be created: %s", self._folder.name, error)
            self._airflow.stop()
            failed = last_update("FAILED", datetime.now(UTC), "FORCED", (_PROBLEM, str(error)))
            self._become("CREATE_FAILED", LastUpdate=failed)
        else:
            self._become("AVAILABLE")

    def _update(self) -> None:
        before, update = self.record.document, self.record.update
        if update is None:
            return
        began = before["LastUpdate"]["CreatedAt"]
        try:
            self._bring_up(update.target, update.strategy)
        except PipelineError as error:
            log.warning("the environment %s could not be updated: %s", self._folder.name, error)
            self._become("ROLLING_BACK")
            failed = last_update("FAILED", began, update.strategy, (_PROBLEM, self._restored(before, str(error))))
            with self._lock:
                self._keep(replace(self._record, update=None).describing(Status="UPDATE_FAILED", LastUpdate=failed))
            return
        done = last_update("SUCCESS", began, update.strategy)
        with self._lock:
            # The target as it is now: tags may have changed meanwhile.
            target = (self._record.update or update).target
            shown = {"WebserverUrl": self._record.document["WebserverUrl"], "Status": "AVAILABLE", "LastUpdate": done}
            self._keep(replace(self._record, update=None, document={**target, **shown}))

    def _restored(self, former: Mapping[str, Any], error: str) -> str:
        """The error of an update, after bringing the former state back; says when that failed as well."""
        try:
            self._bring_up(former)
        except PipelineError as second:
            return f"{error} (and the former state does not come up: {second})"
        return error

    def _delete(self) -> None:
        self._airflow.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        with self._lock:
            self._record = self._record.describing(Status="DELETED")

    def _bring_up(self, environment: Mapping[str, Any], strategy: str = "FORCED") -> None:
        self._airflow.bring_up(environment, strategy)
        with self._lock:
            port = self._airflow.port
            self._keep(replace(self._record, port=port).describing(WebserverUrl=f"127.0.0.1:{port}"))

    def _tick(self) -> None:
        if not self._airflow.runs:
            return
        document = self.record.document
        down = self._airflow.look_after(document)
        if down and document["Status"] in ("AVAILABLE", "UPDATE_FAILED"):
            self._become("UNAVAILABLE")
        elif document["Status"] == "UNAVAILABLE" and not down and not self._airflow.problems():
            self._become("AVAILABLE")

    def _become(self, status: str, **members: Any) -> None:
        with self._lock:
            self._keep(self._record.describing(Status=status, **members))

    def _keep(self, record: Record) -> None:
        self._record = record
        record.write(self._folder)
