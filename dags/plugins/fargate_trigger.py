"""Waits for a container on Fargate, where the triggerer can import it: it knows plugins, but not the DAG folder."""

import asyncio
from collections.abc import AsyncIterator

from airflow.providers.amazon.aws.hooks.ecs import EcsHook
from airflow.providers.amazon.aws.triggers.ecs import TaskDoneTrigger
from airflow.triggers.base import TriggerEvent

# Airflow fails a task that comes back from its deferral before the scheduler has heard that the worker let go of it
# (apache/airflow#72716); a busy scheduler takes seconds for that. Fargate takes longer than this to start a container.
FIRST_LOOK_SECONDS = 8.0


class ContainerDone(TaskDoneTrigger):
    """The provider's trigger, which also stops the container when someone kills the task in Airflow.

    Killing is: marking it failed or successful, or clearing it, while it is deferred. The operator is not there then
    to do it. Airflow calls `on_kill` since 3.3; it does not when a triggerer restarts.
    """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait as the provider does, and never so briefly that Airflow stumbles over it."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        async for event in super().run():
            yield event

    async def on_kill(self) -> None:
        """Stop the container: TERM, and KILL after its stopTimeout."""
        hook = EcsHook(
            aws_conn_id=self.aws_conn_id, region_name=self.region_name, verify=self.verify, config=self.botocore_config
        )
        async with await hook.get_async_conn() as ecs:
            await ecs.stop_task(cluster=self.cluster, task=self.task_arn, reason="Task killed in Airflow")
        self.log.info("The container of %s is being stopped", self.task_arn)
