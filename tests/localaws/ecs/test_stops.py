"""Why tasks stop, in the words of ECS; and that nothing of them stays."""

import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from docker import DockerClient

from pipeline.localaws.machine.engine import Engine
from tests.images.conftest import TINY
from tests.localaws.conftest import free_port
from tests.localaws.ecs.conftest import Mortal
from tests.localaws.ecs.world import World, open_world, shell

pytestmark = pytest.mark.docker

PATIENT = "trap 'echo told to end; exit 9' TERM; echo ready; while true; do sleep 0.1; done"
DEAF = "trap '' TERM; echo ready; while true; do sleep 0.1; done"


def ready(world: World, arn: str) -> None:
    world.running(arn)
    world.wait(arn, lambda _: "ready" in world.log(arn))


def test_a_stopped_task_is_told_to_end_and_may_say_its_last_words(world: World, image: str) -> None:
    arn = world.start(world.register(shell(PATIENT, image)))["taskArn"]
    ready(world, arn)
    answer = world.ecs.stop_task(cluster=world.cluster, task=arn, reason="Task killed by the user")["task"]
    assert answer["desiredStatus"] == "STOPPED"
    task = world.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task killed by the user")
    assert task["containers"][0]["exitCode"] == 9
    assert world.log(arn) == ["ready", "told to end"]


def test_a_task_stopped_before_it_runs_does_not_start(world: World, image: str) -> None:
    began = monotonic()
    arn = world.start(world.register(shell(DEAF, image)))["taskArn"]
    world.ecs.stop_task(cluster=world.cluster, task=arn, reason="never mind")
    task = world.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "never mind")
    assert "startedAt" in task or "exitCode" not in task["containers"][0]
    assert task["containers"][0]["lastStatus"] == "STOPPED"
    assert monotonic() - began < 25


def test_a_container_that_does_not_listen_is_killed_after_its_stop_timeout(world: World, image: str) -> None:
    arn = world.start(world.register(shell(DEAF, image, stopTimeout=2)))["taskArn"]
    ready(world, arn)
    began = monotonic()
    world.ecs.stop_task(cluster=world.cluster, task=arn)
    assert world.wait(arn, lambda task: task["lastStatus"] == "STOPPING")["desiredStatus"] == "STOPPED"
    task = world.ended(arn)
    assert 1.5 < monotonic() - began < 10
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task stopped by user")
    assert task["containers"][0]["exitCode"] == 137
    assert "reason" not in task["containers"][0]


def test_a_task_that_has_stopped_may_be_stopped_again(world: World, image: str) -> None:
    task = world.run(world.register(shell("exit 1", image)))
    again = world.ecs.stop_task(cluster=world.cluster, task=task["taskArn"], reason="too late")["task"]
    assert again["stoppedReason"] == "Essential container in task exited"


@pytest.mark.parametrize("what", ["tag", "repository"])
def test_an_image_that_the_registry_does_not_have_is_named(world: World, image: str, what: str) -> None:
    missing = image + "9" if what == "tag" else image.replace("etl/shell", "etl/nobody")
    task = world.run(world.register(shell("true", missing)))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: pull image manifest has been retried")
    assert missing in task["stoppedReason"]
    assert "127.0.0.1" not in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]
    assert task["containers"][0]["reason"] == task["stoppedReason"]
    assert "startedAt" not in task


def test_an_image_deleted_from_the_registry_starts_no_task_though_the_engine_has_it(
    world: World, engine: DockerClient
) -> None:
    uri = world.push(TINY, "etl/deleted")
    definition = world.register(shell("true", uri))
    assert world.run(definition)["containers"][0]["exitCode"] == 0
    repository = uri.partition("/")[2].rpartition(":")[0]
    world.region.client("ecr").batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "1"}])
    task = world.run(definition)
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert engine.images.list(TINY)


def test_a_program_that_is_not_in_the_image_is_named(world: World, image: str) -> None:
    task = world.run(world.register({"image": image, "entryPoint": ["/no/such/program"]}))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotStartContainerError: ")
    assert "/no/such/program" in task["stoppedReason"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/no/such/parameter", "unable to retrieve secrets from ssm"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf", "unable to retrieve secret from asm"),
    ],
)
def test_a_secret_that_is_not_there_is_named(world: World, image: str, source: str, words: str) -> None:
    task = world.run(world.register(shell("true", image, secrets=[{"name": "WORD", "valueFrom": source}])))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    assert words in task["stoppedReason"]
    assert source in task["stoppedReason"]


def test_a_json_key_that_a_secret_does_not_have_is_named(world: World, image: str) -> None:
    manager = world.region.client("secretsmanager")
    arn = manager.create_secret(Name=f"etl/{world.mark}/keys", SecretString='{"user": "ann"}')["ARN"]
    secrets = [{"name": "WORD", "valueFrom": f"{arn}:password::"}]
    task = world.run(world.register(shell("true", image, secrets=secrets)))
    assert task["stoppedReason"].endswith("did not contain json key password")


def test_a_log_group_that_is_not_there_keeps_a_task_from_starting(world: World, image: str) -> None:
    options = {"awslogs-group": "/nobody", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "x"}
    container = shell("true", image, logConfiguration={"logDriver": "awslogs", "options": options})
    task = world.run(world.register(container))
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args")
    assert "The specified log group does not exist" in task["stoppedReason"]
    options["awslogs-create-group"] = "true"
    options["awslogs-group"] = f"/made/{world.mark}"
    assert world.run(world.register(container))["containers"][0]["exitCode"] == 0


def test_a_container_removed_behind_our_back_fails_its_task(world: World, image: str) -> None:
    task = world.start(world.register(shell(DEAF, image)))
    ready(world, task["taskArn"])
    (container,) = world.containers()
    container.remove(force=True)
    ended = world.ended(task["taskArn"])
    assert "exitCode" not in ended["containers"][0] or ended["containers"][0]["exitCode"] != 0
    assert ended["stopCode"] == "EssentialContainerExited"


def test_going_down_leaves_no_container_whatever_time_it_asks_for(engine: DockerClient, tmp_path: Path) -> None:
    world = open_world(tmp_path / "local", engine)
    image = world.push(TINY, "etl/shell")
    definition = world.register(shell(DEAF, image, stopTimeout=120))
    running, stopping = (world.start(definition)["taskArn"] for _ in range(2))
    ready(world, running)
    ready(world, stopping)
    world.ecs.stop_task(cluster=world.cluster, task=stopping)
    began = monotonic()
    world.server.stop()
    assert monotonic() - began < 20
    assert world.containers() == []
    records = sorted((tmp_path / "local/ecs").glob("*.json"))
    assert len(records) == 2
    assert all('"lastStatus": "STOPPED"' in path.read_text() for path in records)


KILLED = """
import os, signal, sys
from pathlib import Path
from docker import DockerClient
from tests.images.conftest import TINY
from tests.localaws.ecs.world import open_world, shell
world = open_world(Path(sys.argv[1]), DockerClient(base_url=sys.argv[2]), int(sys.argv[3]))
uri = world.push(TINY, "etl/shell")
arn = world.start(world.register(shell("while true; do sleep 0.1; done", uri)))["taskArn"]
world.running(arn)
print(world.cluster, arn, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_servers_tasks_are_stopped_by_the_next_one_and_their_containers_are_gone(
    engine: DockerClient, docker_engine: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "local"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), docker_engine.host, str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    cluster, arn = done.stdout.split()
    mark: dict[str, Any] = {"label": f"pipeline.local.ecs={folder}"}
    assert len(engine.containers.list(filters=mark)) == 1
    world = open_world(folder, engine)
    try:
        assert engine.containers.list(all=True, filters=mark) == []
        # The cluster is gone with the killed server; its tasks are still known.
        (task,) = world.ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        assert (task["lastStatus"], task["desiredStatus"]) == ("STOPPED", "STOPPED")
        assert task["stoppedReason"] == "The local AWS was killed while the task ran."
        assert "killed while the container ran" in task["containers"][0]["reason"]
        assert task["stoppedAt"] >= task["startedAt"]
        assert world.ecs.list_tasks(cluster=cluster)["taskArns"] == []
        assert world.ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"] == [arn]
    finally:
        world.server.stop()


def test_when_the_engine_ends_during_a_task_the_task_says_so_and_the_next_finds_an_engine_again(mortal: Mortal) -> None:
    world = mortal.world
    arn = world.start(world.register(shell(DEAF, mortal.image)))["taskArn"]
    ready(world, arn)
    mortal.kill_engine()
    began = monotonic()
    task = world.ended(arn)
    assert monotonic() - began < 15
    assert "ContainerRuntimeError: the Docker engine does not answer any more" in task["stoppedReason"]
    assert task["containers"][0]["reason"] == task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]
    late = world.run(world.register(shell("true", mortal.image)))
    assert late["stopCode"] == "TaskFailedToStart"
    assert "Docker engine" in late["stoppedReason"]
    mortal.engine.look_after()
    assert mortal.engine.client.containers.list(all=True) == []
    again = world.run(world.register(shell("true", mortal.image)))
    assert again["containers"][0]["exitCode"] == 0, again
