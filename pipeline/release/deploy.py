"""The two ways to a new release: deploying a working tree, and rolling back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pipeline.names import RELEASE_FILE
from pipeline.release import expectation, lock, plan, release_file, restorable, restored, rollback, situation
from pipeline.release.bucket import Bucket
from pipeline.release.environment import Deployment
from pipeline.release.execution import carry_out
from pipeline.release.lock import StalePlanError
from pipeline.release.order import Environment, Order, Tell
from pipeline.release.plan import Plan
from pipeline.release.record import ReleaseRecord, TaskRecord
from pipeline.release.rollback import Standing
from pipeline.release.situation import Situation
from pipeline.release.structure import Dag, Structures
from pipeline.release.tree import DAGS_PREFIX, NO_TREE, Tree

_ATTEMPTS = 3  # to plan again after another release was quicker; then someone releases all the time

FindImages = Callable[[Mapping[str, str]], Mapping[str, str]]


@dataclass(frozen=True)
class Origin:
    """What is released, and who does it.

    Attributes:
        commit: The commit of the working tree.
        uncommitted: The DAG folder differs from it.
        by: A CodeBuild build, or a person at a machine.
        lock_seconds: How long the lock lasts without a sign of life.
        structures: What the tests of the DAGs found; noted in the release if it is of these very files.
    """

    commit: str
    by: str
    uncommitted: bool = False
    lock_seconds: int = 300
    structures: Structures | None = None


@dataclass(frozen=True)
class Prepared:
    """A plan, with what it was made from and what it needs."""

    situation: Situation
    plan: Plan
    tree: Tree


def prepare(bucket: Bucket, gathered: Callable[[], Tree], deployment: Deployment, keep: tuple[str, ...]) -> Prepared:
    """Read the environment's state and decide.

    Args:
        bucket: The environment's bucket.
        gathered: Gives the working tree, once it is read; the `_release.json` of the deployed stacks is added here.
        deployment: The deployed stacks.
        keep: Patterns of keys that are left alone; see `kept.py`.
    """
    now = situation.read(bucket)
    tree = gathered().with_release_file(release_file.content(deployment))
    unclear = plan.unclear(tree.files, now.current, now.listing, keep)
    decided = plan.decide(
        deployment.environment,
        wanted=tree.files,
        parts=tree.parts,
        tasks=deployment.task_definitions,
        record=now.current,
        listing=now.listing,
        stored=situation.checksums(bucket, unclear),
        keep=keep,
        unsettled=now.seen.pointer.unsettled,
        unfinished=now.seen.pointer.unfinished,
    )
    return Prepared(now, decided, tree)


def sync(
    environment: Environment,
    prepared: Prepared,
    *,
    deployment: Deployment,
    origin: Origin,
    find_images: FindImages,
    tell: Tell,
    replanned: Callable[[Plan], None] = lambda _: None,
) -> ReleaseRecord:
    """Carry the plan out; when another release was quicker, plan again from what it left.

    Args:
        environment: Where it goes.
        prepared: The plan, and what it was made from.
        deployment: The deployed stacks.
        origin: What is released, and who does it.
        find_images: Gives the images of task definitions.
        tell: Takes a sentence for people.
        replanned: Is told every plan that takes the place of the one before.

    Returns:
        The new release, or the current one when there is nothing to release.
    """
    for _ in range(_ATTEMPTS):
        lock.refuse_if_locked(environment.bucket, prepared.situation.seen)
        current = prepared.situation.current
        if prepared.plan.is_empty and current is not None:
            return current
        try:
            return carry_out(
                environment, prepared.situation, _deploy_order(prepared, deployment, origin, find_images), tell
            )
        except StalePlanError:
            tell("another release was made meanwhile: planning again")
            prepared = prepare(environment.bucket, partial(_same, prepared.tree), deployment, environment.keep)
            replanned(prepared.plan)
    raise StalePlanError(f"other releases were quicker {_ATTEMPTS} times", mend="Run the command again.")


def _same(tree: Tree) -> Tree:
    return tree


def prepare_rollback(bucket: Bucket, to: str | None, keep: tuple[str, ...]) -> tuple[Situation, ReleaseRecord, Plan]:
    """Read the environment's state, find the release to go back to, and decide.

    Where nobody names it:

    | the release before                               | goes back to                                |
    | ------------------------------------------------ | ------------------------------------------- |
    | a deploy that did not end, and left something    | the current release, which it was to follow |
    | a rollback that did not end, or any that did end | the one before the current release          |

    Raises:
        PipelineError: There is no such release, or something of it has expired.
    """
    now = situation.read(bucket)
    left, current = now.seen.pointer, now.current
    standing = Standing(current=current, interrupted=left.restores, unsettled=left.unsettled)

    def decided(target: ReleaseRecord) -> tuple[Situation, ReleaseRecord, Plan]:
        found = rollback.decide(target, standing, now.listing, keep)
        restorable.check(bucket, target, found)
        return now, target, found

    if to is not None:
        return decided(situation.read_record(bucket, to))
    if current is None:
        raise rollback.no_release(bucket.name)
    if left.unfinished and left.restores is None and not rollback.decide(current, standing, now.listing, keep).is_empty:
        return decided(current)
    held = situation.read_record(bucket, current.restores) if current.restores else None
    return decided(situation.read_record(bucket, rollback.default_target(current, held)))


def roll_back(
    environment: Environment, now: Situation, target: ReleaseRecord, *, decided: Plan, origin: Origin, tell: Tell
) -> ReleaseRecord:
    """Carry a rollback out.

    Returns:
        The new release, or the current one when the environment holds exactly the target already.
    """
    lock.refuse_if_locked(environment.bucket, now.seen)
    if decided.is_empty and now.current is not None:
        return now.current
    back = restored.read(environment.bucket, decided, target) if environment.airflow is not None else NO_TREE
    order = Order(
        kind="rollback",
        plan=decided,
        files={},
        recorded=target.files,
        parts={},
        recorded_parts=target.parts,
        tasks=lambda: target.tasks,
        expect=lambda before: expectation.of_rollback(
            decided, back, before, dags=target.dags, resumed=_is_resumed(now)
        ),
        commit=target.commit,
        uncommitted=target.uncommitted,
        by=origin.by,
        restores=rollback.deployed_as(target),
        dags=target.dags,
        seconds=origin.lock_seconds,
    )
    return carry_out(environment, now, order, tell)


def _deploy_order(prepared: Prepared, deployment: Deployment, origin: Origin, find_images: FindImages) -> Order:
    current, seen = prepared.situation.current, prepared.situation.seen
    dags = dags_of(prepared.tree, origin.structures, deployment.environment)
    return Order(
        kind="deploy",
        plan=prepared.plan,
        files=prepared.tree.files,
        recorded=current.files if current else {},
        parts=plan.wanted_parts(prepared.tree.parts, current, seen.pointer.unsettled),
        recorded_parts=current.parts if current else {},
        tasks=lambda: _tasks(deployment.task_definitions, current, find_images),
        expect=lambda before: expectation.of_deploy(
            prepared.plan, prepared.tree, before, dags=dags, resumed=_is_resumed(prepared.situation)
        ),
        commit=origin.commit,
        uncommitted=origin.uncommitted,
        by=origin.by,
        seconds=origin.lock_seconds,
        dags=dags,
    )


def _is_resumed(now: Situation) -> bool:
    """Whether a release went before of which is known only that it did not end, not what failed before it."""
    return now.seen.pointer.unfinished and now.seen.pointer.failing is None


def dags_of(tree: Tree, structures: Structures | None, environment: str) -> Mapping[str, Dag] | None:
    """The structures of a tree's DAGs in an environment; None when not known, or read from other files."""
    own = {key: source for key, source in tree.files.items() if key != RELEASE_FILE}  # the tests knew of no deployment
    files = {key.removeprefix(DAGS_PREFIX): source.sha256 for key, source in own.items()}
    return structures.dags.get(environment) if structures is not None and structures.is_of(files) else None


def _tasks(
    deployed: Mapping[str, str], current: ReleaseRecord | None, find_images: FindImages
) -> dict[str, TaskRecord]:
    """The deployed task definitions with their images. A revision never changes: known ones are not asked for."""
    known = {task.task_definition: task for task in current.tasks.values()} if current else {}
    images = find_images({name: arn for name, arn in deployed.items() if arn not in known})
    return {
        name: known[arn] if arn in known else TaskRecord(task_definition=arn, image=images.get(name))
        for name, arn in sorted(deployed.items())
    }
