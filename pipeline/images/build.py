"""Carry out a plan: what must be rebuilt, bases first, some at once; one that fails stops no other."""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from pipeline.images.job import Job
from pipeline.images.maker import Announce, Maker
from pipeline.images.outcome import Built, Failed, Outcome, Skipped
from pipeline.images.plan import Plan, UpToDate


class Build:
    """Builds a plan's images.

    Args:
        maker: Makes one image.
        announce: Told what is skipped.
        stop: Set when the build must end early.
    """

    def __init__(self, maker: Maker, announce: Announce, stop: Event) -> None:
        self._maker = maker
        self._announce = announce
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
                        running[threads.submit(self._maker.make, job)] = job.container.name
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
