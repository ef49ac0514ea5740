"""The Airflow of one environment: brought up as described, looked after, its DAGs and logs carried to and fro."""

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa import configuration, records
from pipeline.localaws.mwaa.airflow_client import AirflowClient, AirflowSilentError, sick
from pipeline.localaws.mwaa.components import Components
from pipeline.localaws.mwaa.configuration import Place, Secrets
from pipeline.localaws.mwaa.dag_folder import DagFolder
from pipeline.localaws.mwaa.declaration import bucket_of
from pipeline.localaws.mwaa.installation import Installations
from pipeline.localaws.mwaa.logs import Logs
from pipeline.localaws.mwaa.preparation import Preparation, Prepared
from pipeline.localaws.region import LocalRegion

HEALTHY_SECONDS: Final = 300.0  # Airflow is healthy in 15 s; on a machine that installs and builds beside it, later
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


class EndedError(Exception):
    """The server stops: leave everything as it is."""


class Airflow:
    """One Airflow. Used by one thread, except for `client` and `end`.

    Args:
        world: What it shares with others.
        folder: The environment's.
        name: The environment's.
        secrets: The environment's.
        port: The loopback port it had before; 0 for none.
    """

    def __init__(self, world: World, folder: Path, name: str, secrets: Secrets, port: int) -> None:
        self._world = world
        self._folder = folder
        self._home = folder / "home"
        self._secrets = secrets
        self._ending = Event()
        self._components = Components(folder / "processes")
        self._logs = Logs(world.region.client("logs"), name, self._components.folder, self._home / "logs")
        s3 = world.region.client("s3")
        self._dags = DagFolder(s3, self._home / "dags", folder / "dags.json")
        self._preparation = Preparation(
            s3, world.installations, self._home, lambda stream, lines: self._logs.say(_LOGGED_AT_START, stream, lines)
        )
        self._running: tuple[Prepared, dict[str, str]] | None = None
        self._started = datetime.now(UTC)
        self._warm = False  # whether the API server has built all it builds with the first request
        self.port = port
        self.client = AirflowClient(port)

    @property
    def runs(self) -> bool:
        """Whether it was brought up."""
        return self._running is not None

    def end(self) -> None:
        """Let whatever is under way end soon, with `EndedError`, because the server stops."""
        self._ending.set()
        self._preparation.interrupt()

    def bring_up(self, environment: Mapping[str, Any], strategy: str) -> None:
        """Let it run as described, and wait until it is healthy. Nothing restarts that would be the same again.

        Args:
            environment: As the API describes it.
            strategy: GRACEFUL lets running tasks end first.

        Raises:
            PipelineError: It does not; says why.
            EndedError: The server stops.
        """
        try:
            self._bring_up(environment, strategy)
        except PipelineError:
            if self._ending.is_set():  # what was under way did not fail: it was ended
                raise EndedError from None
            raise

    def look_after(self, environment: Mapping[str, Any]) -> tuple[str, ...]:
        """One round: copy DAGs, start again what died, send logs; the components that are down."""
        self._dags.copy(bucket_of(environment), environment["DagS3Path"])
        down = self._components.look_after()
        if down:
            self._started, self._warm = datetime.now(UTC), False
        self._logs.ship()
        return down

    def problems(self) -> tuple[str, ...]:
        """Why it is not healthy; nothing when it is."""
        try:
            if not self._warm:
                self.client.health()  # it listens
                self.client.warm_up()
                self._warm = True
            return sick(self.client.health(), self._started)
        except AirflowSilentError as error:
            return (str(error),)

    def stop(self) -> None:
        """End its processes, also those of a server that was killed, and send what they said last."""
        self._running = None
        self._components.stop()
        self._logs.ship()

    def _bring_up(self, environment: Mapping[str, Any], strategy: str) -> None:
        self._logs.configure(environment)
        plain = self._world.installations.plain(str(environment["AirflowVersion"]))
        prepared = self._preparation.prepare(environment, self._variables(environment, plain.folder, {}))
        installed = prepared.installation
        if self._running == (prepared, self._variables(environment, installed.folder, prepared.startup)):
            return
        if strategy == "GRACEFUL":
            self._components.finish_tasks(GRACEFUL_SECONDS, self._ending)
        else:
            self._components.fail_tasks()
        self._running = None
        self._components.stop()
        if self._ending.is_set():
            raise EndedError
        self._preparation.adopt_plugins()
        self._choose_port()
        variables = self._variables(environment, installed.folder, prepared.startup)
        database = self._home / "airflow.db"
        if database.exists():
            installed.migrate(database, variables)
        else:
            installed.new_database(database, variables)
        (self._home / "dags").mkdir(exist_ok=True)
        self._dags.copy(bucket_of(environment), environment["DagS3Path"])
        records.write_variables(self._folder, variables)
        self._started, self._warm = datetime.now(UTC), False
        self._components.start(installed.airflow, variables)
        self._wait_until_healthy()
        self._running = (prepared, variables)

    def _wait_until_healthy(self) -> None:
        until = monotonic() + HEALTHY_SECONDS
        while problems := self.problems():
            if monotonic() > until:
                lines = self._components.last_lines()
                raise PipelineError(f"Airflow is not healthy after {HEALTHY_SECONDS:g} s: {problems}\n{lines}")
            if self._ending.wait(0.5):
                raise EndedError
            self._components.look_after()
            self._logs.ship()

    def _variables(
        self, environment: Mapping[str, Any], installation: Path, startup: Mapping[str, str]
    ) -> dict[str, str]:
        return configuration.variables(
            environment,
            Place(self._home, installation, self.port),
            self._secrets,
            machine=self._world.machine,
            aws=self._world.region.environment(),
            startup=startup,
        )

    def _choose_port(self) -> None:
        """Keep the port of the time before when nobody has it now."""
        for port in (self.port, 0):
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                self.port = int(probe.getsockname()[1])
                self.client = AirflowClient(self.port)
                return
        raise PipelineError("this machine has no free loopback port")
