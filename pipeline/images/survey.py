"""From a folder of containers and a registry to a plan: the requests that takes, and no others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.images.build import Job
from pipeline.images.containers import Container, discover
from pipeline.images.content import all_inputs, content_tag
from pipeline.images.inputs import Inputs
from pipeline.images.plan import Plan, Published, make_plan, missing
from pipeline.images.registry import Registry


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
        jobs = {}
        for verdict in self.plan.rebuilds:
            container = by_name[verdict.name]
            base = container.base
            jobs[verdict.name] = Job(
                container=container,
                inputs=self.inputs[verdict.name],
                verdict=verdict,
                image=f"{self._uri(verdict.name)}:{verdict.tag}",
                base_image=f"{self._uri(base)}:{content_tag(self.inputs[base])}" if base is not None else "",
            )
        return jobs

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
        PipelineError: A file cannot be read, or the registry does not answer.
    """
    containers = discover(folder)
    inputs = all_inputs(containers)
    published = dict(registry.published(list(inputs))) if inputs else {}
    for name in missing(inputs, published):
        published[name] = replace(published[name], recorded=registry.recorded(name, published[name]))
    return Survey(containers, inputs, published, make_plan(inputs, published))
