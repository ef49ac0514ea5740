"""Every container's own tests: its Dockerfile's `test` stage is built and run, and reports as JUnit."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

import docker

from pipeline import junit
from pipeline.errors import PipelineError, UsageError
from pipeline.images.builder import Builder, BuildError, Order
from pipeline.images.container_run import run_container
from pipeline.images.containers import DOCKERFILE, TESTS, Container
from pipeline.images.content import all_inputs, content_tag
from pipeline.images.context import build_context
from pipeline.images.engine import ENGINE_ERRORS
from pipeline.images.inputs import Inputs
from pipeline.images.job import arguments, joined_part_tag

STAGE = "test"
SECONDS = 600.0
LINES_KEPT = 60
NOTHING_COLLECTED = 5  # pytest's exit code when it found no test

Announce = Callable[[str, str], None]
_Base = tuple[str, str]  # container, platform


@dataclass(frozen=True)
class TestResult:
    """What a container's tests said; `problem` is "" when they passed.

    Attributes:
        name: The container.
        tests: How many ran.
        failing: Names of those that failed.
        problem: Why the container is not good, in a sentence.
        seconds: Building and running.
    """

    __test__ = False  # pytest: not a test class

    name: str
    tests: int
    failing: tuple[str, ...]
    problem: str
    seconds: float


def with_tests(containers: Sequence[Container], chosen: Sequence[str]) -> list[Container]:
    """Containers to test: the chosen ones, by default all that have a folder `tests`.

    Raises:
        UsageError: One is unknown, or has tests but no stage that runs them.
    """
    known = {container.name: container for container in containers}
    for name in chosen:
        if name not in known:
            raise UsageError(f"there is no container {name!r}; there are: {', '.join(sorted(known))}")
    having = [each for each in containers if (each.folder / TESTS).is_dir()]
    for container in having:
        if not container.dockerfile().has_stage(STAGE):
            raise UsageError(
                f"the container has tests, but its {DOCKERFILE} has no stage that runs them",
                where=str(container.folder / DOCKERFILE),
                mend=f"Add a stage `FROM … AS {STAGE}` that copies {TESTS}/ and whose ENTRYPOINT runs them.",
            )
    if without := [name for name in chosen if known[name] not in having]:
        raise UsageError(f"the container has no folder {TESTS}", where=str(known[without[0]].folder))
    return [container for container in having if not chosen or container.name in chosen]


def bases(containers: Sequence[Container], chosen: Sequence[Container]) -> list[tuple[Container, str]]:
    """The bases that containers are tested on, each with the platform of those on it: its own may be another.

    Args:
        containers: All, each after its base; the bases come in this order.
        chosen: Those that are tested.
    """
    by_name = {container.name: container for container in containers}
    needed: set[_Base] = set()
    for container in chosen:
        base = container.base
        while base is not None:
            needed.add((base, container.platform))
            base = by_name[base].base
    return [(each, platform) for each in containers for name, platform in sorted(needed) if name == each.name]


class Tests:
    """Builds and runs the test stages.

    Args:
        builder: What builds.
        client: The engine it builds into.
        reports: The folder for `NAME.xml`.
        announce: Told every line of progress, with the container's name.
        stop: Set when all must end early.
        secrets: Id → file of the build secrets.
        seconds: How long the tests of one container may run.
    """

    __test__ = False

    def __init__(
        self,
        builder: Builder,
        client: docker.DockerClient,
        reports: Path,
        announce: Announce,
        *,
        stop: Event,
        secrets: Mapping[str, Path] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._builder = builder
        self._client = client
        self._reports = reports
        self._announce = announce
        self._stop = stop
        self._secrets = secrets or {}
        self._seconds = seconds
        self._images: list[str] = []

    def run(self, containers: Sequence[Container], chosen: Sequence[Container], at_once: int) -> list[TestResult]:
        """Test the chosen containers; a result for each, in their order. No image or container of it is left."""
        self._reports.mkdir(parents=True, exist_ok=True)
        for container in chosen:  # a report of an earlier run would speak for this one
            (self._reports / f"{container.name}.xml").unlink(missing_ok=True)
        inputs = all_inputs(containers)
        try:
            broken = self._bases(containers, chosen, inputs)
            with ThreadPoolExecutor(at_once, thread_name_prefix="test") as threads:
                try:
                    return list(threads.map(lambda container: self._test(container, inputs, broken), chosen))
                except BaseException:
                    self._stop.set()
                    raise
        finally:
            for image in reversed(self._images):
                with suppress(*ENGINE_ERRORS):
                    # Layers without a name stay: they are the cache of the next run.
                    self._client.images.remove(image, noprune=True)

    def _bases(
        self, containers: Sequence[Container], chosen: Sequence[Container], inputs: Mapping[str, Inputs]
    ) -> dict[_Base, PipelineError]:
        """Build the bases that the chosen containers need, lowest first; those that did not build, with the reason."""
        broken: dict[_Base, PipelineError] = {}
        for container, platform in bases(containers, chosen):
            below = (container.base or "", platform)
            if below in broken:
                broken[container.name, platform] = broken[below]
                continue
            try:
                self._build(container, inputs, container.target, _image(container.name, inputs, platform), platform)
            except PipelineError as error:
                broken[container.name, platform] = error
        return broken

    def _test(
        self, container: Container, inputs: Mapping[str, Inputs], broken: Mapping[_Base, PipelineError]
    ) -> TestResult:
        started = monotonic()
        path = self._reports / f"{container.name}.xml"
        failing: tuple[str, ...] = ()
        tests = 0
        try:
            if problem_below := broken.get((container.base or "", container.platform)):
                raise problem_below
            image = _image(container.name, inputs, container.platform) + f"-{STAGE}"
            self._build(container, inputs, STAGE, image, container.platform)
            tests, failing, problem = self._run(container, image, path)
        except PipelineError as error:
            problem = error.what
            lines = error.lines if isinstance(error, BuildError) else ()
            path.write_bytes(junit.instead(container.name, problem.partition("\n")[0], lines[-LINES_KEPT:]))
        seconds = monotonic() - started
        self._announce(container.name, f"{problem.partition(chr(10))[0] or f'{tests} tests passed'} ({seconds:.1f} s)")
        return TestResult(container.name, tests, failing, problem, seconds)

    def _build(self, container: Container, inputs: Mapping[str, Inputs], stage: str, image: str, platform: str) -> None:
        base = _image(container.base, inputs, platform) if container.base is not None else ""
        self._announce(container.name, f"building {image}")
        with build_context(container, inputs[container.name]) as context:
            mounted = container.dockerfile().secrets
            secrets = {name: file for name, file in self._secrets.items() if name in mounted}
            order = Order(image, context, platform, stage, arguments(container, base), secrets=secrets)
            self._images.append(image)
            self._builder.build(order, lambda line: self._announce(container.name, line))

    def _run(self, container: Container, image: str, path: Path) -> tuple[int, tuple[str, ...], str]:
        """Run a built test stage: (tests, failing, problem). A report is written in any case."""
        self._announce(container.name, "running its tests")
        run = run_container(
            self._client,
            container.name,
            image,
            lambda line: self._announce(container.name, line),
            seconds=self._seconds,
            stop=self._stop,
        )
        report = junit.Report(0, ())
        document = run.reports.get(path.name) or next(iter(run.reports.values()), None)
        if document is not None:
            try:
                report = junit.read(document)
            except ValueError:
                document = None
        problem = _problem(run.code, report, reported=document is not None, seconds=self._seconds)
        if document is None or (problem and not report.failing):
            document = junit.instead(container.name, problem, run.lines[-LINES_KEPT:])
        path.write_bytes(document)
        return report.tests, report.failing, problem


def _problem(code: int | None, report: junit.Report, *, reported: bool, seconds: float) -> str:
    """Why a run is not good, "" when it is.

    | exit code | report | problem |
    | --- | --- | --- |
    | time ran out | any | did not end within … s |
    | any | tests failed | N of M tests failed: names |
    | 5 | | no test was found |
    | not 0 | none failed | the tests ended with code N |
    | 0 | none written | no report was written |
    | 0 | none failed | |
    """
    if code is None:
        return f"the tests did not end within {seconds:g} s"
    if report.failing:
        return f"{len(report.failing)} of {report.tests} tests failed: {', '.join(report.failing)}"
    if code == NOTHING_COLLECTED:
        return "no test was found"
    if code != 0:
        return f"the tests ended with code {code}"
    return "" if reported else "the tests passed, but wrote no JUnit report to /reports"


def _image(name: str, inputs: Mapping[str, Inputs], platform: str) -> str:
    """A name that no registry has, so that nothing is ever pulled by it."""
    return f"localhost/pipeline-test/{name}:{joined_part_tag(content_tag(inputs[name]), platform)}"
