"""Carrying out a plan from the lock to the record: one way for deploys and rollbacks."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pipeline.errors import LockedError, PipelineError
from pipeline.release import canary, expectation, in_flight, lock, parts, record, restoration, verify
from pipeline.release.airflow import Airflow
from pipeline.release.bucket import ABSENT, Written
from pipeline.release.lock import Lease
from pipeline.release.mwaa import RequirementsError
from pipeline.release.order import Environment, Order, Tell
from pipeline.release.plan import Action
from pipeline.release.publish import publish
from pipeline.release.record import FileRecord, PartName, PartRecord, ReleaseRecord
from pipeline.release.situation import Situation
from pipeline.release.verdict import Seen

_NAMED = 10  # files, in one line


def carry_out(environment: Environment, situation: Situation, order: Order, tell: Tell) -> ReleaseRecord:
    """Do what a plan says, prove it in Airflow, record it, make it current.

    On a failed verification the former release is restored. On any other failure what was done stays, the former
    release stays current, and the next run continues.

    Raises:
        LockedError: Someone else is releasing.
        StalePlanError: Someone else has released since the plan was made.
        PipelineError: The canary cannot run, or publishing, updating MWAA, or verifying failed.
    """
    left = expectation.left_by(
        situation.seen.pointer,
        situation.seen.age,
        environment.waits_for.longest,
        remains=situation.differs(environment.keep),
    )
    before = _look(environment, order, left, tell)
    if before is not None:
        environment = replace(environment, canary=_canary(environment, situation, order, before, tell))
    purpose = "sync" if order.kind == "deploy" else "rollback"
    with lock.hold(
        environment.bucket,
        situation.seen,
        owner=order.by,
        purpose=purpose,
        seconds=order.seconds,
        restores=order.restores,
        parts=[row.name for row in order.plan.part_changes],
        failing=left if before is None else before.errors,
    ) as lease:
        if situation.seen.dead and situation.seen.pointer.lock is not None:
            tell(f"took over the lock of {situation.seen.pointer.lock.owner}, silent since its expiry")
        _let_runs_end(environment, situation.current, order, lease, tell)
        taken_back = partial(restoration.take_back, environment, situation, order, lease=lease, tell=tell)
        try:
            written, placed = _bring(environment, order, lease, tell)
        except RequirementsError as error:
            raise taken_back(error=error) from None
        if environment.airflow is not None and before is not None:
            try:
                _prove(environment, environment.airflow, order, before, lease=lease, tell=tell)
            except LockedError:
                raise  # whoever took over decides what the bucket holds
            except PipelineError as error:
                raise taken_back(error=error) from None
        made = _record(situation.current, order, written, placed, verified=before is not None)
        content = made.dump()
        environment.bucket.put(record.key_of(made.id), content, hashlib.sha256(content).hexdigest(), expected=ABSENT)
        lease.switch(made.id)
    return made


def _look(environment: Environment, order: Order, left: Collection[str] | None, tell: Tell) -> Seen | None:
    """What Airflow says before anything is done; import errors that a release before may have left are not in it."""
    if environment.airflow is None:
        return None
    said = verify.observe(environment.airflow)
    before = expectation.without(said, left, order.plan)
    if counted := sorted(said.errors.keys() - before.errors.keys()):
        named = ", ".join(counted[:_NAMED]) + (f" and {len(counted) - _NAMED} more" if len(counted) > _NAMED else "")
        tell(f"a release that failed may have left the import errors of {named}: they must go")
    return before


def _canary(environment: Environment, situation: Situation, order: Order, before: Seen, tell: Tell) -> str | None:
    """The canary, if there is one and it can run."""
    if environment.canary is None:
        return None
    runs = canary.check(
        environment.canary,
        before,
        order.dags,
        former=situation.current.dags if situation.current else None,
        removed=expectation.removed_files(order.plan, before),
        back=order.kind == "rollback",
    )
    if not runs:
        tell(f"remark: {order.restores} has no DAG {environment.canary}, so no canary runs")
    return environment.canary if runs else None


def _let_runs_end(
    environment: Environment, current: ReleaseRecord | None, order: Order, lease: Lease, tell: Tell
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


def _bring(
    environment: Environment, order: Order, lease: Lease, tell: Tell
) -> tuple[dict[str, Written], dict[PartName, PartRecord]]:
    """Bring the files and the parts, in the plan's order."""
    if not order.plan.parts_last:
        try:
            placed = parts.update(environment, order, lease, tell)
        except (RequirementsError, LockedError):
            raise
        except PipelineError as error:
            error.mend = f"No DAG file was published. {error.mend}".strip()
            raise
        return _files(environment, order, lease, tell), placed
    written = _files(environment, order, lease, tell)
    if order.plan.part_changes:
        tell(f"the DAG files are those of {order.restores}")
    return written, parts.update(environment, order, lease, tell)


def _files(environment: Environment, order: Order, lease: Lease, tell: Tell) -> dict[str, Written]:
    written = publish(environment.bucket, order.plan, order.files, lease.still_ours, tell)
    lease.published(order.restores)
    return written


def _prove(
    environment: Environment,
    airflow: Airflow,
    order: Order,
    before: Seen,
    *,
    lease: Lease,
    tell: Tell,
) -> None:
    """Wait until Airflow has taken the release over, and run the canary if there is one."""
    verify.verify(
        airflow,
        order.expect(before),
        before,
        alive=lease.still_ours,
        tell=tell,
        patience=environment.patience,
        pause=environment.pause,
        clock=environment.clock,
    )
    if environment.canary is not None:
        canary.run(
            airflow,
            environment.canary,
            comes=environment.canary not in before.dags,
            needed=order.kind == "deploy",
            alive=lease.still_ours,
            tell=tell,
            pause=environment.pause,
            clock=environment.clock,
        )


def _record(
    current: ReleaseRecord | None,
    order: Order,
    written: Mapping[str, Written],
    placed: Mapping[PartName, PartRecord],
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
        parts=dict(placed),
        tasks=dict(order.tasks()),
        dags=order.dags,
    )
