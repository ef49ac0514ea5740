"""Carrying out a plan from the lock to the record: one way for deploys and rollbacks."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Literal

from pipeline.errors import LockedError, PipelineError
from pipeline.release import canary, in_flight, lock, mwaa, record, rollback, verify
from pipeline.release.airflow import Airflow
from pipeline.release.bucket import ABSENT, Bucket, Written
from pipeline.release.lock import Lease
from pipeline.release.mwaa import AirflowEnvironment, Replacement, RequirementsError
from pipeline.release.plan import EMPTY_PARTS, Action, PartRow, Plan
from pipeline.release.publish import publish
from pipeline.release.record import FileRecord, PartName, PartRecord, ReleaseRecord, TaskRecord
from pipeline.release.rollback import Standing
from pipeline.release.situation import Situation
from pipeline.release.structure import Dag
from pipeline.release.tree import DAGS_PREFIX, PART_KEYS, Source, generated
from pipeline.release.verify import Expectation, Patience, Seen


@dataclass(frozen=True)
class Environment:
    """Where a release goes.

    Attributes:
        bucket: The bucket MWAA reads.
        mwaa: Asked only when requirements, plugins or the startup script change.
        airflow: The running Airflow; None releases without asking it.
        replacement: How MWAA replaces workers.
        keep: Globs of keys below `dags/` that are left alone.
        patience: How long Airflow may take.
        pause: Waits for a number of seconds.
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
    canary: str | None = None
    wait_for_runs: float = 0


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


def carry_out(
    environment: Environment, situation: Situation, order: Order, tell: Callable[[str], None]
) -> ReleaseRecord:
    """Do what a plan says, prove it in Airflow, record it, make it current.

    On a failed verification the former release is restored. On any other failure what was done stays, the former
    release stays current, and the next run continues.

    Raises:
        LockedError: Someone else is releasing.
        StalePlanError: Someone else has released since the plan was made.
        PipelineError: Publishing, updating MWAA, or verifying failed.
    """
    before = verify.observe(environment.airflow) if environment.airflow else None
    purpose = "sync" if order.kind == "deploy" else "rollback"
    with lock.hold(
        environment.bucket,
        situation.seen,
        owner=order.by,
        purpose=purpose,
        seconds=order.seconds,
        restores=order.restores,
    ) as lease:
        if situation.seen.dead and situation.seen.pointer.lock is not None:
            tell(f"took over the lock of {situation.seen.pointer.lock.owner}, silent since its expiry")
        _let_runs_end(environment, situation.current, order, lease, tell)
        try:
            parts = _update_parts(environment, order, lease, tell)
        except RequirementsError as error:
            raise _restored(environment, situation.current, order, lease=lease, error=error, tell=tell) from None
        written = publish(environment.bucket, order.plan, order.files, lease.still_ours, tell)
        if environment.airflow is not None and before is not None:
            try:
                _prove(environment, environment.airflow, order.expect(before), before, lease=lease, tell=tell)
            except LockedError:
                raise  # whoever took over decides what the bucket holds
            except PipelineError as error:
                raise _restored(environment, situation.current, order, lease=lease, error=error, tell=tell) from None
        made = _record(situation.current, order, written, parts, verified=before is not None)
        content = made.dump()
        environment.bucket.put(record.key_of(made.id), content, hashlib.sha256(content).hexdigest(), expected=ABSENT)
        lease.switch(made.id)
    return made


def _let_runs_end(
    environment: Environment, current: ReleaseRecord | None, order: Order, lease: Lease, tell: Callable[[str], None]
) -> None:
    """Before other images come, wait for runs that began with the present ones. A rollback waits for nothing."""
    changed = {row.container for row in order.plan.tasks if row.before is not None}
    if order.kind != "deploy" or current is None or environment.airflow is None or not changed:
        return
    if environment.wait_for_runs > 0:
        in_flight.wait_for_end(
            environment.airflow,
            in_flight.running(current.dags, changed),
            environment.wait_for_runs,
            alive=lease.still_ours,
            tell=tell,
            pause=environment.pause,
        )


def _prove(
    environment: Environment,
    airflow: Airflow,
    expected: Expectation,
    before: Seen,
    *,
    lease: Lease,
    tell: Callable[[str], None],
) -> None:
    """Wait until Airflow has taken the release over, and run the canary if there is one."""
    verify.verify(
        airflow,
        expected,
        before,
        alive=lease.still_ours,
        tell=tell,
        patience=environment.patience,
        pause=environment.pause,
    )
    if environment.canary is not None:
        canary.run(airflow, environment.canary, alive=lease.still_ours, tell=tell, pause=environment.pause)


def _update_parts(
    environment: Environment, order: Order, lease: Lease, tell: Callable[[str], None]
) -> dict[PartName, PartRecord]:
    """Upload the changed parts and let MWAA use them. Gives the record of every part."""
    parts = {row.name: order.recorded_parts[row.name] for row in order.plan.parts if row.action is Action.KEEP}
    changed = {row.name: _placed(environment.bucket, row, order) for row in order.plan.part_changes}
    if changed:
        versions = {name: part.version for name, part in changed.items()}
        tell(
            f"MWAA gets {', '.join(PART_KEYS[name] for name in changed)}; its workers are replaced "
            f"({environment.replacement}), which takes a while"
        )
        _pin(environment, versions, lease, tell)
    return parts | changed


def _pin(environment: Environment, versions: Mapping[PartName, str], lease: Lease, tell: Callable[[str], None]) -> None:
    mwaa.update(
        environment.mwaa,
        versions,
        environment.replacement,
        alive=lease.still_ours,
        tell=tell,
        pause=environment.pause,
    )


def _placed(bucket: Bucket, row: PartRow, order: Order) -> PartRecord:
    if row.action is Action.RESTORE:
        return order.recorded_parts[row.name]
    source = order.parts[row.name] if row.name in order.parts else generated(PART_KEYS[row.name], EMPTY_PARTS[row.name])
    there = bucket.head(source.key)
    if there is None or there.etag != source.md5:
        there = bucket.put(source.key, source.read(), source.sha256)
    return PartRecord(key=source.key, sha256=source.sha256, version=there.version)


def _former(bucket: Bucket, former: ReleaseRecord, name: PartName) -> str:
    """The version of a part in a release; of an empty one where it had none."""
    if name in former.parts:
        return former.parts[name].version
    empty = generated(PART_KEYS[name], EMPTY_PARTS[name])
    return bucket.put(empty.key, empty.read(), empty.sha256).version


def _record(
    current: ReleaseRecord | None,
    order: Order,
    written: Mapping[str, Written],
    parts: Mapping[PartName, PartRecord],
    *,
    verified: bool,
) -> ReleaseRecord:
    files: dict[str, FileRecord] = {}
    for row in order.plan.rows:
        source, now = order.files.get(row.key), written.get(row.key)
        if row.action is Action.RESTORE and now is not None:
            files[row.key] = order.recorded[row.key].model_copy(update={"etag": now.etag, "version": now.version})
        elif row.action is Action.KEEP:
            level = source.level if source else order.recorded[row.key].level
            files[row.key] = order.recorded[row.key].model_copy(update={"level": level})
        elif source is not None and now is not None:
            files[row.key] = FileRecord(
                sha256=source.sha256, size=source.size, etag=now.etag, version=now.version, level=source.level
            )
    now_utc = datetime.now(UTC).replace(microsecond=0)
    return ReleaseRecord(
        id=record.new_id(now_utc, order.commit, after=current.id if current else None),
        kind=order.kind,
        environment=order.plan.environment,
        commit=order.commit,
        uncommitted=order.uncommitted,
        by=order.by,
        time=now_utc,
        previous=current.id if current else None,
        restores=order.restores,
        verified=verified,
        files=files,
        parts=dict(parts),
        tasks=dict(order.tasks()),
        dags=order.dags,
    )


def _restored(
    environment: Environment,
    former: ReleaseRecord | None,
    order: Order,
    *,
    lease: Lease,
    error: PipelineError,
    tell: Callable[[str], None],
) -> PipelineError:
    """The error to raise after a failed verification: the first error, and what became of the environment."""
    if former is None:
        return PipelineError(
            error.what,
            where=error.where,
            mend="This was to be the first release, so there is none to restore: the files stay.",
        )
    try:
        listing = environment.bucket.listing(DAGS_PREFIX)
        placed = {key: source.level for key, source in order.files.items()}
        placed |= {row.key: order.recorded[row.key].level for row in order.plan.rows if row.key in order.recorded}
        standing = Standing(current=former, interrupted=order.restores, levels=placed)
        back = rollback.decide(former, standing, listing, environment.keep)
        publish(environment.bucket, back, {}, lease.still_ours, tell)
        versions = {row.name: _former(environment.bucket, former, row.name) for row in order.plan.part_changes}
        if versions:
            tell(f"{error.what}\nRestoring {former.id}: {', '.join(PART_KEYS[name] for name in versions)} first")
            _pin(environment, versions, lease, tell)
    except PipelineError as second:
        return PipelineError(
            f"{error.what}\nRestoring {former.id} failed as well: {second.what}",
            where=error.where,
            mend=f"`pipeline rollback {order.plan.environment} --to {former.id}` tries again.",
        )
    return PipelineError(
        error.what,
        where=error.where,
        mend=f"Release {former.id} was restored: {back.count(Action.RESTORE)} files put back, "
        f"{back.count(Action.DELETE)} deleted. Correct the DAG and push again.",
    )
