"""Bringing requirements, plugins and the startup script into the bucket, and MWAA to use them."""

from collections.abc import Mapping

from pipeline.release import mwaa
from pipeline.release.bucket import NO_VERSION, Bucket
from pipeline.release.lock import Lease
from pipeline.release.order import Environment, Order, Tell
from pipeline.release.plan import Action, PartRow, empty_part
from pipeline.release.record import PartName, PartRecord, ReleaseRecord
from pipeline.release.tree import PART_KEYS, Source


def update(environment: Environment, order: Order, lease: Lease, tell: Tell) -> dict[PartName, PartRecord]:
    """Upload the changed parts and let MWAA use them. Gives the record of every part.

    Raises:
        RequirementsError: MWAA uses them, but pip could not install the requirements.
        PipelineError: The bucket or MWAA refuses.
    """
    kept = {row.name: order.recorded_parts[row.name] for row in order.plan.parts if row.action is Action.KEEP}
    changed = {row.name: _placed(environment.bucket, row, order) for row in order.plan.part_changes}
    if changed:
        tell(f"MWAA gets {keys(changed)}")
        _pin(environment, {name: part.version for name, part in changed.items()}, lease, tell)
    return kept | changed


def take_back(environment: Environment, former: ReleaseRecord | None, order: Order, lease: Lease, tell: Tell) -> str:
    """Let MWAA use what a release had of the parts that an order changed; where it had none, an empty one.

    Returns:
        The keys of these parts, for people; empty when there are none.
    """
    recorded = former.parts if former else {}
    versions = {
        row.name: recorded[row.name].version
        if row.name in recorded
        else _uploaded(environment.bucket, empty_part(row.name)).version
        for row in order.plan.part_changes
    }
    if versions:
        tell(f"MWAA gets {keys(versions)} back")
        _pin(environment, versions, lease, tell)
    return keys(versions)


def keys(names: Mapping[PartName, object]) -> str:
    """`requirements.txt, plugins.zip`: parts, for people."""
    return ", ".join(PART_KEYS[name] for name in names)


def _pin(environment: Environment, versions: Mapping[PartName, str], lease: Lease, tell: Tell) -> None:
    mwaa.update(
        environment.mwaa,
        versions,
        environment.replacement,
        renew=lease.renew,
        alive=lease.still_ours,
        tell=tell,
        pause=environment.pause,
    )


def _placed(bucket: Bucket, row: PartRow, order: Order) -> PartRecord:
    if row.action is Action.RESTORE:
        return order.recorded_parts[row.name]
    return _uploaded(bucket, order.parts.get(row.name) or empty_part(row.name))


def _uploaded(bucket: Bucket, source: Source) -> PartRecord:
    there = bucket.head(source.key)
    if there is None or there.version == NO_VERSION or not there.holds(source.sha256, source.md5):
        there = bucket.put(source.key, source.read(), source.sha256)
    return PartRecord(key=source.key, sha256=source.sha256, version=there.version)
