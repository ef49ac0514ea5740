"""Finding out what a dossier says, from wherever it is known. What cannot be found out is said, and stops nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.release import commits, deploy, dossier, evidence, in_flight
from pipeline.release.airflow import Airflow
from pipeline.release.bucket import Bucket
from pipeline.release.commits import Between, CommitOf
from pipeline.release.deploy import Origin, Prepared
from pipeline.release.dossier import Dossier
from pipeline.release.environment import NotDeployedError
from pipeline.release.evidence import Evidence
from pipeline.release.in_flight import InFlight
from pipeline.release.record import PartName, PartRecord
from pipeline.release.stacks import Stacks
from pipeline.release.structure import Dag
from pipeline.release.tree import PART_KEYS, Source, Tree


@dataclass(frozen=True)
class Reading:
    """An environment, read: the plan for it, where it keeps releases, its Airflow, and what its stacks would change."""

    prepared: Prepared
    bucket: Bucket
    airflow: Airflow
    stacks: Stacks


def inquire(
    environment: str,
    origin: Origin,
    *,
    read: Callable[[], Reading],
    tree: Callable[[], Tree],
    sources: Callable[[], list[CommitOf]],
    left: Path,
    replacement: str,
    changed: float | None = None,
) -> Dossier:
    """The dossier of a working tree for an environment.

    Args:
        environment: Its name.
        origin: What the working tree is.
        read: Reads the environment; fails where it is not deployed, or may not be read.
        tree: Gives the working tree.
        sources: Where commits may be known, in the order to ask.
        left: The folder with what other steps left; see `evidence.py`.
        replacement: How MWAA replaces workers.
        changed: When the working tree changed last, if what other steps left may be older; see `evidence.read`.

    Raises:
        PipelineError: The working tree, or what other steps left, is not as it should be.
    """
    found = evidence.read(left, changed)
    gathered = tree()
    now = deploy.dags_of(gathered, found.structures, environment)
    bare = Dossier(
        environment,
        origin.commit,
        uncommitted=origin.uncommitted,
        written=datetime.now(UTC),
        replacement=replacement,
        tests=found.tests,
        images_unknown=found.images_unknown,
    )
    try:
        found_there = read()
    except NotDeployedError:
        return replace(_all_new(bare, gathered, found, now), deployed=False)
    except PipelineError as error:
        return replace(
            _all_new(bare, gathered, found, now),
            unread=str(error),
            commits_unknown="the environment could not be read",
            parts=None,
            requirements=None,
            drift=None,
            in_flight=InFlight(unknown="the environment could not be read"),
        )
    prepared = found_there.prepared
    running, plan = prepared.situation.current, prepared.plan
    files = dossier.files_of(plan, prepared.tree, running)
    between, why = _commits(running.commit if running else None, origin.commit, sources)
    return replace(
        bare,
        running=running,
        commits=between,
        commits_unknown=why,
        files=files,
        dags=dossier.dags_of(files, prepared.tree, running, now),
        images=dossier.images_of(found, running),
        parts=dossier.parts_of(plan),
        pinned=plan.replaces_workers is None,
        requirements=_requirements(found_there.bucket, running.parts if running else {}, prepared.tree.parts),
        drift={row.key: row.reason for row in plan.rows if row.drift},
        in_flight=_in_flight(found_there.airflow),
        stacks=found_there.stacks,
    )


def _all_new(bare: Dossier, tree: Tree, found: Evidence, now: Mapping[str, Dag] | None) -> Dossier:
    """What a release brings to an environment of which nothing is known."""
    files = dossier.Files(added=tuple(key.removeprefix("dags/") for key in tree.files))
    requirements = tree.parts.get("requirements")
    return replace(
        bare,
        files=files,
        dags=dossier.dags_of(files, tree, None, now),
        images=dossier.images_of(found, None),
        parts={PART_KEYS[name]: "new" for name in tree.parts},
        requirements=dossier.requirement_lines(b"", requirements.read() if requirements else b""),
    )


def _commits(running: str | None, commit: str, sources: Callable[[], list[CommitOf]]) -> tuple[Between | None, str]:
    if running is None:
        return None, ""
    why = f"neither git nor CodeCommit knows both {running[:10]} and {commit[:10]}"
    for source in sources():
        try:
            found = commits.between(running, commit, source)
        except PipelineError as error:
            why = error.what
            continue
        if found is not None:
            return found, ""
    return None, why


def _requirements(
    bucket: Bucket, recorded: Mapping[PartName, PartRecord], wanted: Mapping[PartName, Source]
) -> tuple[str, ...]:
    before, after = recorded.get("requirements"), wanted.get("requirements")
    if before is not None and after is not None and before.sha256 == after.sha256:
        return ()
    stored = bucket.get(before.key, before.version) if before else None
    return dossier.requirement_lines(stored.content if stored else b"", after.read() if after else b"")


def _in_flight(airflow: Airflow) -> InFlight:
    try:
        return in_flight.observe(airflow)
    except PipelineError as error:
        return InFlight(unknown=error.what)
