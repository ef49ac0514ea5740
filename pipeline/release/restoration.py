"""Taking a release back that failed: the environment gets the former one, and people an error that says so."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from pipeline.errors import LockedError, PipelineError
from pipeline.release import parts, record, rollback
from pipeline.release.bucket import ABSENT, Bucket, Written
from pipeline.release.lock import Lease
from pipeline.release.mwaa import RequirementsError
from pipeline.release.order import Environment, Order, Tell
from pipeline.release.plan import Action, Plan
from pipeline.release.publish import publish
from pipeline.release.record import ReleaseRecord
from pipeline.release.rollback import Standing
from pipeline.release.situation import Situation
from pipeline.release.tree import DAGS_PREFIX


def take_back(
    environment: Environment, situation: Situation, order: Order, *, lease: Lease, error: PipelineError, tell: Tell
) -> PipelineError:
    """Restore the release that was current before.

    | the former release | what failed                 | afterwards                                       |
    | ------------------ | --------------------------- | ------------------------------------------------ |
    | there is one       | pip, Airflow, or the canary | its files and parts are back                     |
    | none               | pip                         | no file was published; MWAA has empty parts      |
    | none               | Airflow, or the canary      | the files stay: there is nothing to put in place |

    Args:
        environment: The environment.
        situation: What the order was made from.
        order: What failed.
        lease: The lock.
        error: Why it failed.
        tell: Takes a sentence for people.

    Returns:
        The error to raise: the first one, and what became of the environment.

    Raises:
        LockedError: The lock was lost meanwhile; whoever took it over decides what the environment holds.
    """
    former = situation.current
    tell(f"it failed: {error.what.splitlines()[0].rstrip(':')}")
    try:
        if former is not None:
            done = _put_back(environment, situation, former, order, lease=lease, error=error, tell=tell)
        else:
            done = _emptied(environment, order, lease=lease, error=error, tell=tell)
    except LockedError as second:
        raise LockedError(
            f"{second.what}; it was taking back a release that had failed: {error.what}",
            where=second.where,
            mend=second.mend,
        ) from None
    except PipelineError as second:
        what = f"Restoring {former.id}" if former else "Taking it back"
        again = f"`pipeline rollback {order.plan.environment} --to {former.id}` tries again." if former else second.mend
        return PipelineError(f"{error.what}\n{what} failed as well: {second.what}", where=error.where, mend=again)
    return PipelineError(error.what, where=error.where, mend=" ".join(filter(None, (done, error.mend))))


def _put_back(
    environment: Environment,
    situation: Situation,
    former: ReleaseRecord,
    order: Order,
    *,
    lease: Lease,
    error: PipelineError,
    tell: Tell,
) -> str:
    """Files first: that takes seconds, and replacing workers much longer. Gives the sentence that says so."""
    tell(f"restoring {former.id}")
    # When pip failed before a file was written, the bucket is what it was: perhaps a mix.
    untouched = isinstance(error, RequirementsError) and not order.plan.parts_last
    interrupted = situation.seen.pointer.restores if untouched else order.restores
    placed = {key: source.level for key, source in order.files.items()}
    placed |= {row.key: order.recorded[row.key].level for row in order.plan.rows if row.key in order.recorded}
    standing = Standing(current=former, interrupted=interrupted, levels=placed)
    back = rollback.decide(former, standing, environment.bucket.listing(DAGS_PREFIX), environment.keep)
    written = publish(environment.bucket, back, {}, lease.still_ours, tell)
    restored = parts.take_back(environment, former, order, lease, tell)
    lease.taken_back()
    _note(environment.bucket, former, written, order.by, lease)
    return _sentence(former, back, restored)


def _sentence(former: ReleaseRecord, back: Plan, restored: str) -> str:
    files = f"{back.count(Action.RESTORE)} files put back, {back.count(Action.DELETE)} deleted"
    return f"Release {former.id} was restored: {files}{f', MWAA given its {restored}' if restored else ''}."


def _emptied(environment: Environment, order: Order, *, lease: Lease, error: PipelineError, tell: Tell) -> str:
    first = "This was to be the first release, so there is none to restore"
    if not isinstance(error, RequirementsError):
        return f"{first}: the files stay."
    emptied = parts.take_back(environment, None, order, lease, tell)
    lease.taken_back()
    return f"{first}: no file was published, and MWAA was given an empty {emptied}."


def _note(bucket: Bucket, former: ReleaseRecord, written: Mapping[str, Written], by: str, lease: Lease) -> None:
    """Record the restoration as a release, where S3 encrypts with KMS: then a copy has an ETag of its own.

    Else the next plan would take every file that was put back for one that somebody changed by hand.
    """
    if all(former.files[key].etag == now.etag for key, now in written.items()):
        return
    now_utc = datetime.now(UTC).replace(microsecond=0)
    files = {
        key: file.model_copy(update={"etag": written[key].etag, "version": written[key].version})
        if key in written
        else file
        for key, file in former.files.items()
    }
    noted = former.model_copy(
        update={
            "id": record.new_id(now_utc, former.commit, after=former.id),
            "kind": "rollback",
            "by": by,
            "time": now_utc,
            "previous": former.id,
            "restores": rollback.deployed_as(former),
            "verified": False,
            "files": files,
        }
    )
    content = noted.dump()
    bucket.put(record.key_of(noted.id), content, hashlib.sha256(content).hexdigest(), expected=ABSENT)
    lease.switch_back(noted.id)
