"""The life of one environment, in a thread of its own: created, kept in order, updated or restored, deleted."""

import logging
import queue
import shutil
import socket
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa import configuration, records
from pipeline.localaws.mwaa.airflow_client import AirflowClient, AirflowSilentError, sick
from pipeline.localaws.mwaa.components import Components
from pipeline.localaws.mwaa.configuration import Place
from pipeline.localaws.mwaa.dag_folder import DagFolder
from pipeline.localaws.mwaa.declaration import bucket_of, last_update
from pipeline.localaws.mwaa.installation import Installations
from pipeline.localaws.mwaa.logs import Logs
from pipeline.localaws.mwaa.preparation import Preparation, Prepared
from pipeline.localaws.mwaa.records import Record, Update
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

TICK: Final = 3.0  # seconds between two rounds of copying DAGs, sending logs and looking after processes
HEALTHY_SECONDS: Final = 300.0  # Airflow is healthy in 20 s; on a machine that installs and builds beside it, later
GRACEFUL_SECONDS: Final = 12 * 3600.0  # MWAA user guide: workers have that long for their tasks
_LOGGED_AT_START: Final = ("SchedulerLogs", "WorkerLogs", "WebserverLogs")


@dataclass(frozen=True)
class World:
    """What all environments share.

    Attributes:
        region: Where AWS answers.
        installations: Where Airflow is installed.
        machine: This machine's variables.
    """

    region: LocalRegion
    installations: Installations
    machine: Mapping[str, str]


class _EndedError(Exception):
    """The server stops: leave everything as it is."""


class Environment:
    """An environment. Its public methods may be called by any thread; the work is done by its own."""

    def __init__(self, world: World, folder: Path, record: Record) -> None:
        self._world = world
        self._folder = folder
        self._home = folder / "home"
        self._record = record
        self._lock = threading.RLock()
        self._orders: queue.Queue[str] = queue.Queue()
        self._ending = threading.Event()
        name = str(record.document["Name"])
        s3 = world.region.client("s3")
        self._components = Components(folder / "processes")
        self._logs = Logs(world.region.client("logs"), name, self._components.folder, self._home / "logs")
        self._dags = DagFolder(s3, self._home / "dags", folder / "dags.json")
        self._preparation = Preparation(
            s3, world.installations, self._home, lambda stream, lines: self._logs.say(_LOGGED_AT_START, stream, lines)
        )
        self._client = AirflowClient(record.port)
        self._running: tuple[Prepared, dict[str, str]] | None = None
        self._started = datetime.now(UTC)
        self._warm = False  # whether the API server has built all it builds with the first request
        self._thread = threading.Thread(target=self._live, name=f"mwaa {name}", daemon=True)

    @property
    def record(self) -> Record:
        """All that is kept of it."""
        with self._lock:
            return self._record

    @property
    def airflow(self) -> AirflowClient:
        """A client of its Airflow."""
        return self._client

    @property
    def gone(self) -> bool:
        """Whether it was deleted."""
        return bool(self.record.document["Status"] == "DELETED")

    def start(self) -> None:
        """Take up life where the record left it."""
        self._thread.start()

    def update(self, target: Mapping[str, Any], strategy: str) -> None:
        """Become what `target` describes."""
        now = datetime.now(UTC)
        with self._lock:
            pending = last_update("PENDING", now, strategy)
            self._keep(replace(self._record, update=Update(target, strategy)).describing(
                Status="UPDATING", LastUpdate=pending
            ))  # fmt: skip
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
        self.describe(Status="DELETING")
        self._orders.put("delete")

    def end(self) -> None:
        """Begin to end its processes, because the server stops; the record and the database stay."""
        self._ending.set()
        self._preparation.interrupt()
        self._orders.put("end")

    def join(self, seconds: float) -> None:
        """Wait until its thread has ended."""
        if self._thread.ident:
            self._thread.join(seconds)

    def _live(self) -> None:
        try:
            self._components.stop()  # what a killed server left
            self._logs.configure(self.record.document)
            status = self.record.document["Status"]
            if status == "DELETING":
                self._orders.put("delete")
            elif status == "CREATING":
                self._create()
            else:
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
        except _EndedError:
            pass
        except Exception:
            log.exception("the environment %s is no longer looked after", self._folder.name)
            self.describe(Status="UNAVAILABLE")
        finally:
            self._components.stop()
            self._logs.ship()

    def _create(self) -> None:
        try:
            self._bring_up(self.record.document)
        except PipelineError as error:
            log.warning("the environment %s could not be created: %s", self._folder.name, error)
            failed = last_update("FAILED", datetime.now(UTC), "FORCED", ("INCORRECT_CONFIGURATION", str(error)))
            self._components.stop()
            self.describe(Status="CREATE_FAILED", LastUpdate=failed)
        else:
            self.describe(Status="AVAILABLE")

    def _resume(self) -> None:
        """Go on after the server was started again."""
        before = self.record.document["Status"]
        if self.record.update:
            self._orders.put("update")
            return
        if before == "CREATE_FAILED":
            return
        self.describe(Status="MAINTENANCE")
        try:
            self._bring_up(self.record.document)
        except PipelineError as error:
            log.warning("the environment %s does not come up again: %s", self._folder.name, error)
            self.describe(Status="UNAVAILABLE")
        else:
            self.describe(Status="UPDATE_FAILED" if before == "UPDATE_FAILED" else "AVAILABLE")

    def _update(self) -> None:
        update, before = self.record.update, self.record.document
        if update is None:
            return
        pending = before["LastUpdate"]
        try:
            self._bring_up(update.target, update.strategy)
        except PipelineError as error:
            log.warning("the environment %s could not be updated: %s", self._folder.name, error)
            self.describe(Status="ROLLING_BACK")
            failed = last_update(
                "FAILED", pending["CreatedAt"], update.strategy, ("INCORRECT_CONFIGURATION", str(error))
            )
            try:
                self._bring_up(before)
            except PipelineError as second:
                failed["Error"]["ErrorMessage"] += f" (and the former state does not come up: {second})"[:300]
            with self._lock:
                self._keep(replace(self._record, update=None).describing(Status="UPDATE_FAILED", LastUpdate=failed))
        else:
            done = last_update("SUCCESS", pending["CreatedAt"], update.strategy)
            with self._lock:
                current = self._record.update or update
                shown = {"WebserverUrl": self._record.document.get("WebserverUrl")}
                self._keep(replace(
                    self._record, update=None,
                    document={**current.target, **shown, "Status": "AVAILABLE", "LastUpdate": done},
                ))  # fmt: skip

    def _delete(self) -> None:
        self._components.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        with self._lock:
            self._record = self._record.describing(Status="DELETED")

    def _bring_up(self, environment: Mapping[str, Any], strategy: str = "FORCED") -> None:
        """Let Airflow run as described, and wait until it is healthy.

        Raises:
            PipelineError: It does not; says why.
        """
        self._logs.configure(environment)
        base = self._variables(environment, None, self._world.installations.plain(environment["AirflowVersion"]).folder)
        prepared = self._preparation.prepare(environment, base)
        variables = self._variables(environment, prepared, prepared.installation.folder)
        if self._running == (prepared, variables):
            return
        if strategy == "GRACEFUL":
            self._components.finish_tasks(GRACEFUL_SECONDS, self._ending)
        self._components.stop()
        self._running = None
        self._preparation.adopt_plugins()
        self._ensure_port()
        variables = self._variables(environment, prepared, prepared.installation.folder)
        database = self._home / "airflow.db"
        if database.exists():
            prepared.installation.migrate(database, variables)
        else:
            prepared.installation.new_database(database, variables)
        (self._home / "dags").mkdir(exist_ok=True)
        self._dags.copy(bucket_of(environment), environment["DagS3Path"])
        self._started, self._warm = datetime.now(UTC), False
        records.write_variables(self._folder, variables)
        self._components.start(prepared.installation.airflow, variables)
        self._wait_until_healthy()
        self._running = (prepared, variables)

    def _wait_until_healthy(self) -> None:
        until = monotonic() + HEALTHY_SECONDS
        while problems := self._problems():
            if monotonic() > until:
                lines = self._components.last_lines()
                raise PipelineError(f"Airflow is not healthy after {HEALTHY_SECONDS:g} s: {problems}\n{lines}")
            if self._ending.wait(0.5):
                raise _EndedError
            self._components.look_after()
            self._logs.ship()

    def _problems(self) -> tuple[str, ...]:
        try:
            if not self._warm:
                self._client.health()  # it listens
                self._client.warm_up()
                self._warm = True
            return sick(self._client.health(), self._started)
        except AirflowSilentError as error:
            return (str(error),)

    def _tick(self) -> None:
        document = self.record.document
        if self._running is None:
            return
        self._dags.copy(bucket_of(document), document["DagS3Path"])
        down = self._components.look_after()
        status = document["Status"]
        if down and status in ("AVAILABLE", "UPDATE_FAILED"):
            self._started, self._warm = datetime.now(UTC), False
            self.describe(Status="UNAVAILABLE")
        elif status == "UNAVAILABLE" and not down and not self._problems():
            self.describe(Status="AVAILABLE")
        self._logs.ship()

    def _variables(
        self, environment: Mapping[str, Any], prepared: Prepared | None, installation: Path
    ) -> dict[str, str]:
        return configuration.variables(
            environment,
            Place(self._home, installation, self.record.port),
            self.record.secrets,
            machine=self._world.machine,
            aws=self._world.region.environment(),
            startup=prepared.startup if prepared else {},
        )

    def _ensure_port(self) -> None:
        """Keep the port of the time before when nobody has it now."""
        for port in (self.record.port, 0):
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                found = int(probe.getsockname()[1])
                break
        else:
            raise PipelineError("this machine has no free loopback port")
        with self._lock:
            self._keep(replace(self._record, port=found).describing(WebserverUrl=f"127.0.0.1:{found}"))
        self._client = AirflowClient(found)

    def _keep(self, record: Record) -> None:
        self._record = record
        record.write(self._folder)
