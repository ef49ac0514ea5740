"""One environment: its stacks, in the order in which they are deployed."""

from collections.abc import Mapping, Sequence

from aws_cdk import Stage
from constructs import Construct

from pipeline.images.containers import Container
from pipeline.infra.airflow import AirflowStack
from pipeline.infra.fargate import TasksStack
from pipeline.infra.network import NetworkStack
from pipeline.infra.place import Place
from pipeline.settings import Settings


class EnvironmentStage(Stage):
    """network → tasks → airflow: a DAG never names a task definition that does not exist yet."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        environment: str,
        *,
        place: Place,
        registry: Place,
        containers: Sequence[Container],
        tags: Mapping[str, str],
    ) -> None:
        """Compose it.

        Args:
            scope: The pipeline stack.
            settings: The project's.
            environment: Its name.
            place: Where it is.
            registry: Where the images are: the pipeline's place.
            containers: The project's.
            tags: Container → content tag.
        """
        super().__init__(scope, environment, env=place.env())
        self.network = NetworkStack(self, settings, environment)
        self.tasks = TasksStack(
            self, settings, environment, vpc=self.network.vpc, registry=registry, containers=containers, tags=tags
        )
        self.airflow = AirflowStack(
            self, settings, environment, vpc=self.network.vpc, pipeline=registry, containers=containers
        )
        self.airflow.add_stack_dependency(self.tasks)
