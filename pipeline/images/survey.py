"""From a folder of containers and a registry to a plan: the requests that takes, and no others."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.images.containers import Container, discover
from pipeline.images.content import all_inputs, content_tag
from pipeline.images.inputs import Inputs
from pipeline.images.job import Job, Part, joined_part_tag, part_tag
from pipeline.images.plan import Plan, Published, make_plan, missing
from pipeline.images.registry import AT_ONCE, Registry


@dataclass(frozen=True)
class Survey:
    """The plan, and what it was made from."""

    containers: Sequence[Container]
    inputs: Mapping[str, Inputs]
    published: Mapping[str, Published]
    plan: Plan

    def jobs(self) -> dict[str, Job]:
        """Container → what building it takes, for each rebuild.

        Raises:
            PipelineError: A container that must be built has no repository.
        """
        by_name = {container.name: container for container in self.containers}
        return {
            verdict.name: Job(
                container=by_name[verdict.name],
                inputs=self.inputs[verdict.name],
                verdict=verdict,
                parts=tuple(
                    self._part(by_name[verdict.name], by_name, verdict.tag, platform)
                    for platform in by_name[verdict.name].platforms
                ),
            )
            for verdict in self.plan.rebuilds
        }

    def _part(self, container: Container, known: Mapping[str, Container], tag: str, platform: str) -> Part:
        published = self.published[container.name]
        own = part_tag(tag, platform, container.platforms)
        base_image = base_digest = ""
        if container.base is not None:
            base = known[container.base]
            base_tag = part_tag(content_tag(self.inputs[base.name]), platform, base.platforms)
            base_image = f"{self._uri(base.name)}:{base_tag}"
            known_base = self.published[base.name].images.get(base_tag)
            base_digest = known_base.digest if known_base else ""
        # The newest image may be for several platforms, and the cache of each is in its own part.
        earlier = joined_part_tag(published.newest, platform) if published.newest else ""
        earlier = earlier if earlier in published.images else published.newest
        uri = self._uri(container.name)
        return Part(
            platform=platform,
            tag=own,
            image=f"{uri}:{own}",
            base_image=base_image,
            base_digest=base_digest,
            cache=f"{uri}:{earlier}" if earlier else "",
            published=own in published.images,
        )

    def _uri(self, name: str) -> str:
        if uri := self.published[name].uri:
            return uri
        raise PipelineError(
            "the registry has no repository for this container",
            where=name,
            mend="The pipeline creates it when it updates itself: push the commit that adds the container.",
        )


def survey(folder: Path, registry: Registry) -> Survey:
    """Read the containers, ask the registry, decide.

    Raises:
        UsageError: A container is not well formed.
        PipelineError: A file cannot be read, or the registry does not say which images it has.
    """
    containers = discover(folder)
    with ThreadPoolExecutor(1) as thread:
        # The registry is asked while the files are read.
        asked = thread.submit(registry.published, [container.name for container in containers])
        inputs = all_inputs(containers)
        published = dict(asked.result())
    wanted = missing(inputs, published)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        records = threads.map(lambda name: _with_record(name, published[name], registry), wanted)
        published |= zip(wanted, records, strict=True)
    return Survey(containers, inputs, published, make_plan(inputs, published))


def _with_record(name: str, published: Published, registry: Registry) -> Published:
    """With what its newest image records: that gives a reason its words, and is worth no failure."""
    try:
        return replace(published, recorded=registry.recorded(name, published))
    except PipelineError as error:
        return replace(published, unread=error.what)
