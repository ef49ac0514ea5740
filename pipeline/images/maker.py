"""Make one image: check, build, list its contents, push, for each platform; then only the registry's word counts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from pipeline.errors import PipelineError
from pipeline.images.builder import Builder, PushError
from pipeline.images.checks.finding import Finding, Judge, refuse
from pipeline.images.context import build_context
from pipeline.images.job import Job, Origin, Part, order
from pipeline.images.outcome import Built, Failed
from pipeline.images.plan import Image
from pipeline.images.registry import Registry

Announce = Callable[[str, str], None]  # (container, line)


class Maker:
    """Makes images, from any thread.

    Args:
        builder: What builds.
        registry: Where images go, and who says that they arrived.
        announce: Told every line of progress, with the container's name.
        origin: For the labels.
        judge: Looks at the container before, and at the image after it is built.
        secrets: Id → file of the build secrets.
    """

    def __init__(
        self,
        builder: Builder,
        registry: Registry,
        announce: Announce,
        *,
        origin: Origin,
        judge: Judge,
        secrets: Mapping[str, Path],
    ) -> None:
        self._builder = builder
        self._registry = registry
        self._announce = announce
        self._origin = origin
        self._judge = judge
        self._secrets = secrets
        self._digests: dict[str, str] = {}  # full name → digest, of what was pushed: bases of images to come

    def make(self, job: Job) -> Built | Failed:
        """Everything for one image; what goes wrong is part of the outcome."""
        verdict = job.verdict
        started = monotonic()
        findings: list[Finding] = []
        try:
            findings += self._told(verdict.name, self._judge.before(job.container))
            refuse(findings)
            by_us, image = self._make(job, findings)
        except (PipelineError, OSError) as problem:
            seconds = monotonic() - started
            error = problem if isinstance(problem, PipelineError) else PipelineError(str(problem), where=verdict.name)
            self._announce(verdict.name, f"failed after {seconds:.0f} s")
            return Failed(verdict.name, verdict.tag, verdict.reason, error, seconds, tuple(findings))
        seconds = monotonic() - started
        self._announce(verdict.name, f"pushed {image.digest} in {seconds:.0f} s")
        return Built(verdict.name, verdict.tag, verdict.reason, image, seconds, by_us, tuple(findings))

    def _make(self, job: Job, findings: list[Finding]) -> tuple[bool, Image]:
        by_us = False
        arrived: dict[str, Image] = {}  # by tag
        for part in job.parts:
            if part.published:
                self._announce(job.verdict.name, f"{part.platform} was pushed by an earlier build")
                continue
            self._announce(job.verdict.name, f"building {part.image}: {job.verdict.reason}")
            with build_context(job.container, job.inputs) as context:
                based = replace(part, base_digest=part.base_digest or self._digests.get(part.base_image, ""))
                told = order(job, based, context, origin=self._origin, secrets=self._secrets, now=datetime.now(UTC))
                self._builder.build(told, lambda line: self._announce(job.verdict.name, line))
            listed = self._told(job.verdict.name, self._judge.built(job.container, part.image, part.platform))
            findings += listed
            refuse(listed)
            by_us |= self._push(job, part)
            arrived[part.tag] = self._arrived(job, part.tag)
            self._digests[part.image] = arrived[part.tag].digest
        if len(job.parts) > 1:
            tags = {part.platform: part.tag for part in job.parts}
            by_us |= self._registry.join(job.verdict.name, job.verdict.tag, tags)
            arrived[job.verdict.tag] = self._arrived(job, job.verdict.tag)
        return by_us, arrived[job.verdict.tag]

    def _arrived(self, job: Job, tag: str) -> Image:
        image = self._registry.image(job.verdict.name, tag)
        if image is None:
            raise PushError("the push ended well, but the registry does not have the tag", f"{job.verdict.name}:{tag}")
        return image

    def _push(self, job: Job, part: Part) -> bool:
        """Push, unless somebody else has: the same tag is the same content, whoever it is from."""
        try:
            self._builder.push(part.image, lambda line: self._announce(job.verdict.name, line))
        except PushError:
            if self._registry.image(job.verdict.name, part.tag) is None:
                raise
            self._announce(job.verdict.name, "somebody else pushed this tag meanwhile; theirs is used")
            return False
        return True

    def _told(self, name: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        for finding in findings:
            self._announce(name, str(finding))
        return findings
