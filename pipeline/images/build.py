"""Carry out a plan: build and push what must be rebuilt, bases first, some at once; one that fails stops no other."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from time import monotonic

from pipeline.errors import PipelineError
from pipeline.images.builder import Builder, Order, PushError
from pipeline.images.containers import Container
from pipeline.images.context import build_context
from pipeline.images.dockerfile import BASE_ARGUMENT
from pipeline.images.inputs import Inputs
from pipeline.images.plan import Image, Plan, Rebuild, UpToDate
from pipeline.images.record import LABEL, label
from pipeline.images.registry import Registry

Announce = Callable[[str, str], None]  # (container, line)


@dataclass(frozen=True)
class Built:
    """An image that the registry did not have and has now; `by_us` is False when somebody else was quicker."""

    name: str
    tag: str
    reason: str
    image: Image
    seconds: float
    by_us: bool = True


@dataclass(frozen=True)
class Failed:
    """An image that did not build, or was not pushed; `error` says why."""

    name: str
    tag: str
    reason: str
    error: PipelineError
    seconds: float


@dataclass(frozen=True)
class Skipped:
    """An image that was not tried, because its base failed."""

    name: str
    tag: str
    reason: str
    base: str


Outcome = UpToDate | Built | Failed | Skipped


@dataclass(frozen=True)
class Origin:
    """Where the sources come from, for the images' labels.

    Attributes:
        source: Address of the repository, "" when unknown.
        revision: The commit, "" when unknown.
    """

    source: str = ""
    revision: str = ""


@dataclass(frozen=True)
class Job:
    """All that building one image takes.

    Attributes:
        container: The container.
        inputs: What the image is made of, as planned.
        verdict: The plan's verdict.
        image: The full name to push to.
        base_image: The full name of its base, "" when that is not one of ours.
    """

    container: Container
    inputs: Inputs
    verdict: Rebuild
    image: str
    base_image: str


class Build:
    """Builds a plan's images.

    Args:
        builder: What builds.
        registry: Where images go, and who says that they arrived.
        announce: Told every line of progress, with the container's name.
        origin: For the labels.
        stop: Set when the build must end early.
    """

    def __init__(self, builder: Builder, registry: Registry, announce: Announce, origin: Origin, stop: Event) -> None:
        self._builder = builder
        self._registry = registry
        self._announce = announce
        self._origin = origin
        self._stop = stop

    def run(self, plan: Plan, jobs: Mapping[str, Job], at_once: int) -> tuple[Outcome, ...]:
        """Build everything; an outcome for each verdict, in its order.

        Args:
            plan: The plan.
            jobs: Container → job, for each rebuild of the plan.
            at_once: How many images are built at the same time, at most.
        """
        outcomes: dict[str, Outcome] = {each.name: each for each in plan.verdicts if isinstance(each, UpToDate)}
        running: dict[Future[Built | Failed], str] = {}
        with ThreadPoolExecutor(at_once, thread_name_prefix="build") as threads:
            try:
                while len(outcomes) < len(plan.verdicts):
                    for job in self._ready(plan, jobs, outcomes, set(running.values())):
                        running[threads.submit(self._build, job)] = job.container.name
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        outcomes[running.pop(future)] = future.result()
            except BaseException:
                self._stop.set()
                raise
        return tuple(outcomes[verdict.name] for verdict in plan.verdicts)

    def _ready(
        self, plan: Plan, jobs: Mapping[str, Job], outcomes: dict[str, Outcome], running: set[str]
    ) -> Sequence[Job]:
        """Jobs whose base is done; those whose base failed are skipped on the way, and so are those based on them."""
        ready = []
        for verdict in plan.rebuilds:
            job = jobs[verdict.name]
            base = job.container.base
            if verdict.name in outcomes or verdict.name in running:
                continue
            if base is None or isinstance(outcomes.get(base), UpToDate | Built):
                ready.append(job)
            elif base in outcomes:
                outcomes[verdict.name] = Skipped(verdict.name, verdict.tag, verdict.reason, base)
                self._announce(verdict.name, f"skipped: its base {base} failed")
        return ready

    def _build(self, job: Job) -> Built | Failed:
        verdict = job.verdict
        started = monotonic()
        try:
            self._announce(verdict.name, f"building {job.image}: {verdict.reason}")
            with build_context(job.container, job.inputs) as context:
                order = Order(
                    job.image,
                    context,
                    job.container.platform,
                    job.container.target,
                    arguments(job.container, job.base_image),
                    self._labels(job),
                )
                self._builder.build(order, lambda line: self._announce(verdict.name, line))
            by_us, image = self._push(job)
        except (PipelineError, OSError) as problem:
            seconds = monotonic() - started
            error = problem if isinstance(problem, PipelineError) else PipelineError(str(problem), where=job.image)
            self._announce(verdict.name, f"failed after {seconds:.0f} s")
            return Failed(verdict.name, verdict.tag, verdict.reason, error, seconds)
        seconds = monotonic() - started
        self._announce(verdict.name, f"pushed {image.digest} in {seconds:.0f} s")
        return Built(verdict.name, verdict.tag, verdict.reason, image, seconds, by_us)

    def _push(self, job: Job) -> tuple[bool, Image]:
        """Push; then only the registry's word counts, whoever the tag is from: the same tag is the same content."""
        verdict = job.verdict
        try:
            self._builder.push(job.image, lambda line: self._announce(verdict.name, line))
        except PushError:
            image = self._registry.image(verdict.name, verdict.tag)
            if image is None:
                raise
            self._announce(verdict.name, "somebody else pushed this tag meanwhile; theirs is used")
            return False, image
        image = self._registry.image(verdict.name, verdict.tag)
        if image is None:
            raise PushError("the push ended well, but the registry does not have the tag", where=job.image)
        return True, image

    def _labels(self, job: Job) -> dict[str, str]:
        """Standard annotations (OCI image spec, annotations), and the inputs for the next plan's reasons."""
        dockerfile = job.container.dockerfile()
        base = job.base_image or dockerfile.base_of(job.container.target)
        # All of them, even empty: what is not set would be inherited from the base, and be wrong.
        return {
            "org.opencontainers.image.title": job.container.name,
            "org.opencontainers.image.created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "org.opencontainers.image.revision": self._origin.revision,
            "org.opencontainers.image.source": self._origin.source,
            "org.opencontainers.image.base.name": base,
            LABEL: label(job.inputs) or "",
        }


def arguments(container: Container, base_image: str) -> dict[str, str]:
    """The build arguments: the team's own, and the base's address."""
    return {**container.arguments, **({BASE_ARGUMENT: base_image} if base_image else {})}
