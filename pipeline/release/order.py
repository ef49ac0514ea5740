"""Where a release goes, and what is to become the current one: what an execution is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Literal

from pipeline.release.airflow import Airflow
from pipeline.release.bucket import Bucket
from pipeline.release.mwaa import AirflowEnvironment, Replacement
from pipeline.release.plan import Plan
from pipeline.release.record import FileRecord, PartName, PartRecord, TaskRecord
from pipeline.release.structure import Dag
from pipeline.release.tree import Source
from pipeline.release.verdict import Expectation, Seen
from pipeline.release.verify import Patience

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """Where a release goes.

    Attributes:
        bucket: The bucket MWAA reads.
        mwaa: Asked only when requirements, plugins or the startup script change.
        airflow: The running Airflow; None releases without asking it.
        replacement: How MWAA replaces workers.
        keep: Patterns of keys that are left alone; see `kept.py`.
        patience: How long Airflow may take.
        pause: Waits for a number of seconds.
        clock: Counts the seconds that Airflow takes.
        canary: A DAG that must run to success.
        wait_for_runs: For how many seconds runs in flight may go on before the images they run in are changed.
    """

    bucket: Bucket
    mwaa: AirflowEnvironment
    airflow: Airflow | None
    replacement: Replacement = "GRACEFUL"
    keep: tuple[str, ...] = ()
    patience: Patience | None = None
    pause: Callable[[float], None] = sleep
    clock: Callable[[], float] = monotonic
    canary: str | None = None
    wait_for_runs: float = 0

    @property
    def waits_for(self) -> Patience:
        """How long Airflow may take, as usual where nothing else is said."""
        return self.patience or Patience()


@dataclass(frozen=True)
class Order:
    """What is to become the current release.

    Attributes:
        plan: What to do.
        files: What is uploaded, by key; for a rollback empty.
        recorded: Files whose record is known already: unchanged ones.
        parts: Parts that may have to be uploaded.
        recorded_parts: Parts whose version is known already.
        tasks: Gives the task definitions to record; asked for once something was written.
        expect: From what Airflow says before, what it should say afterwards.
        seconds: How long the lock lasts without a sign of life.
        dags: The structures of the DAGs, as far as they are known.
    """

    kind: Literal["deploy", "rollback"]
    plan: Plan
    files: Mapping[str, Source]
    recorded: Mapping[str, FileRecord]
    parts: Mapping[PartName, Source]
    recorded_parts: Mapping[PartName, PartRecord]
    tasks: Callable[[], Mapping[str, TaskRecord]]
    expect: Callable[[Seen], Expectation]
    commit: str
    uncommitted: bool
    by: str
    restores: str | None = None
    seconds: int = 300
    dags: Mapping[str, Dag] | None = None
