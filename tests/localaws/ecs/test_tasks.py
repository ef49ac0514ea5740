"""Tasks run for real: what a container gets, and what becomes of the task."""

import json
from pathlib import Path

import pytest
from docker import DockerClient

from tests.localaws.ecs.world import World, shell

pytestmark = pytest.mark.docker


def test_a_task_runs_its_command_and_its_output_is_in_the_log(world: World, image: str) -> None:
    task = world.run(world.register(shell("echo one; echo two >&2; printf three", image)))
    (container,) = task["containers"]
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert (container["lastStatus"], container["exitCode"]) == ("STOPPED", 0)
    assert sorted(world.log(task["taskArn"])) == ["one", "three", "two"]
    assert world.containers() == []


def test_a_task_passes_through_all_states_and_its_times_are_in_order(world: World, image: str) -> None:
    started = world.start(world.register(shell("sleep 1", image)))
    assert (started["lastStatus"], started["desiredStatus"]) == ("PROVISIONING", "RUNNING")
    assert started["containers"][0]["lastStatus"] == "PENDING"
    seen: list[str] = []

    def look(task: dict[str, str]) -> bool:
        if not seen or seen[-1] != task["lastStatus"]:
            seen.append(task["lastStatus"])
        return task["lastStatus"] == "STOPPED"

    task = world.wait(started["taskArn"], look)
    order = ["PROVISIONING", "PENDING", "RUNNING", "STOPPING", "DEPROVISIONING", "STOPPED"]
    assert "RUNNING" in seen
    assert seen == [status for status in order if status in seen]
    times = [
        "createdAt",
        "pullStartedAt",
        "pullStoppedAt",
        "startedAt",
        "stoppingAt",
        "executionStoppedAt",
        "stoppedAt",
    ]
    assert [task[time] for time in times] == sorted(task[time] for time in times)


def test_an_image_is_known_by_the_digest_that_the_registry_has(world: World, image: str) -> None:
    task = world.run(world.register(shell("true", image)))
    repository, _, tag = image.partition("/")[2].partition(":")
    (known,) = world.region.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])[
        "imageDetails"
    ]
    assert task["containers"][0]["imageDigest"] == known["imageDigest"]
    pinned = image.rpartition(":")[0] + "@" + known["imageDigest"]
    again = world.run(world.register(shell("true", pinned)))
    assert again["containers"][0]["imageDigest"] == known["imageDigest"]
    assert again["containers"][0]["image"] == pinned


def test_overrides_replace_the_command_and_add_variables(world: World, image: str) -> None:
    definition = world.register(
        shell("exit 1", image, environment=[{"name": "A", "value": "a"}, {"name": "B", "value": "b"}])
    )
    override = {
        "name": "main",
        "command": ["echo $A $B $C"],
        "environment": [{"name": "B", "value": "x"}, {"name": "C", "value": "c"}],
    }
    task = world.run(definition, overrides={"containerOverrides": [override]})
    assert world.log(task["taskArn"]) == ["a x c"]
    assert task["overrides"]["containerOverrides"] == [override]


def test_the_images_own_entry_point_user_and_folder_are_used_unless_others_are_given(
    world: World, engine: DockerClient, image: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM pipeline-tests/shell:1\nWORKDIR /here\n"
        'ENTRYPOINT ["/bin/sh", "-c", "echo $0 $@ in $PWD", "own"]\nCMD ["words"]\n'
    )
    engine.images.build(path=str(tmp_path), tag="pipeline-tests/entry:1")
    own = world.push("pipeline-tests/entry:1", "etl/entry")
    plain = world.run(world.register({"image": own}))
    assert world.log(plain["taskArn"]) == ["own words in /here"]
    other = world.run(world.register({"image": own, "command": ["other"], "workingDirectory": "/"}))
    assert world.log(other["taskArn"]) == ["own other in /"]
    entry = world.run(world.register({"image": own, "entryPoint": ["/bin/sh", "-c", "echo entry $0"]}))
    assert world.log(entry["taskArn"])[0].startswith("entry")
    assert image != own


@pytest.mark.parametrize("code", [1, 3, 139])
def test_an_exit_code_is_reported_as_it_is(world: World, image: str, code: int) -> None:
    task = world.run(world.register(shell(f"exit {code}", image)))
    assert task["containers"][0]["exitCode"] == code
    assert "reason" not in task["containers"][0]
    assert task["stopCode"] == "EssentialContainerExited"


def test_cpu_and_memory_are_limits_of_the_container_and_overrides_count(world: World, image: str) -> None:
    definition = world.register(shell("sleep 20", image, memory=100, cpu=64), cpu="512", memory="1024")

    def limits(**overrides: object) -> tuple[int, int, int, int]:
        task = world.running(world.start(definition, overrides=overrides)["taskArn"])
        (container,) = (each for each in world.containers() if each.id == task["containers"][0]["runtimeId"])
        container.reload()
        world.ecs.stop_task(cluster=world.cluster, task=task["taskArn"])
        host = container.attrs["HostConfig"]
        return host["Memory"] >> 20, host["MemorySwap"] >> 20, host["NanoCpus"], host["CpuShares"]

    assert limits() == (100, 100, 500_000_000, 64)
    assert limits(cpu="1024", memory="2048", containerOverrides=[{"name": "main", "memory": 700, "cpu": 128}]) == (
        700,
        700,
        1_000_000_000,
        128,
    )


def test_a_container_that_takes_too_much_memory_is_killed_and_the_reason_says_so(world: World, image: str) -> None:
    task = world.run(world.register(shell("a=x; while true; do a=$a$a; done", image, memory=20)))
    (container,) = task["containers"]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stopCode"] == "EssentialContainerExited"


def test_many_lines_and_long_ones_and_bytes_that_are_no_text_arrive_in_order(world: World, image: str) -> None:
    script = r"""
i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done
a=0123456789; a=$a$a$a$a$a$a$a$a$a$a; a=$a$a$a$a$a$a$a$a$a$a; a=$a$a$a$a$a; a=$a$a$a$a; echo $a
printf 'windows\r\n\n\377\n'
"""
    lines = world.log(world.run(world.register(shell(script, image)))["taskArn"])
    assert lines[:3000] == [f"line {number}" for number in range(3000)]
    assert lines[3000:] == ["0123456789" * 2000, "windows", " ", "\ufffd"]


def test_the_last_lines_are_in_the_log_when_the_task_has_stopped(world: World, image: str) -> None:
    for _ in range(5):
        task = world.run(world.register(shell("echo the last line; exit 1", image)))
        assert world.log(task["taskArn"]) == ["the last line"]


def test_a_container_that_is_not_essential_may_end_before_the_task(world: World, image: str) -> None:
    task = world.start(
        world.register(
            shell("sleep 1; echo done", image),
            shell("exit 7", image, name="helper", essential=False),
        )
    )
    found = world.wait(task["taskArn"], lambda task: task["containers"][1]["lastStatus"] == "STOPPED")
    assert found["lastStatus"] == "RUNNING"
    ended = world.ended(task["taskArn"])
    assert [container["exitCode"] for container in ended["containers"]] == [0, 7]


def test_the_end_of_an_essential_container_ends_the_others(world: World, image: str) -> None:
    task = world.run(
        world.register(
            shell("exit 4", image),
            shell("trap 'echo told to end; exit 5' TERM; while true; do sleep 0.1; done", image, name="other"),
        )
    )
    assert [container["exitCode"] for container in task["containers"]] == [4, 5]
    assert world.log(task["taskArn"], "other") == ["told to end"]


def test_secrets_come_from_ssm_and_secrets_manager(world: World, image: str) -> None:
    ssm, manager = world.region.client("ssm"), world.region.client("secretsmanager")
    ssm.put_parameter(Name=f"/etl/{world.mark}/word", Value="parameter", Type="SecureString")
    ssm.put_parameter(Name=f"plain-{world.mark}", Value="plain", Type="String")
    text = manager.create_secret(Name=f"etl/{world.mark}/text", SecretString="whole")["ARN"]
    keys = manager.create_secret(Name=f"etl/{world.mark}/json", SecretString=json.dumps({"user": "ann"}))["ARN"]
    parameter = f"arn:aws:ssm:eu-west-1:{world.region.account}:parameter"
    sources = {
        "NAME": f"/etl/{world.mark}/word",
        "ARN": f"{parameter}/etl/{world.mark}/word",
        "ROOT": f"{parameter}/plain-{world.mark}",
        "TEXT": text,
        "KEY": f"{keys}:user::",
        "STAGE": f"{text}::AWSCURRENT:",
    }
    secrets = [{"name": name, "valueFrom": source} for name, source in sources.items()]
    task = world.run(world.register(shell("echo $NAME $ARN $ROOT $TEXT $KEY $STAGE", image, secrets=secrets)))
    assert world.log(task["taskArn"]) == ["parameter parameter plain whole ann whole"]


def test_the_authors_variables_win_and_secrets_win_over_them(world: World, image: str) -> None:
    world.region.client("ssm").put_parameter(Name=f"/{world.mark}/same", Value="secret", Type="String")
    container = shell(
        "echo $AWS_REGION $SAME $AWS_EXECUTION_ENV",
        image,
        environment=[{"name": "AWS_REGION", "value": "mine"}, {"name": "SAME", "value": "plain"}],
        secrets=[{"name": "SAME", "valueFrom": f"/{world.mark}/same"}],
    )
    task = world.run(world.register(container))
    assert world.log(task["taskArn"]) == ["mine secret AWS_ECS_FARGATE"]


def test_a_task_has_the_credentials_of_its_role(world: World, image: str) -> None:
    iam = world.region.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName=f"task-{world.mark}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    script = "echo $AWS_ENDPOINT_URL; echo $AWS_ACCESS_KEY_ID"
    with_role = world.run(world.register(shell(script, image), taskRoleArn=role))
    endpoint, key = world.log(with_role["taskArn"])
    assert endpoint == world.region.endpoint
    assert key.startswith("ASIA")
    without = world.run(world.register(shell(script, image)))
    assert world.log(without["taskArn"])[1] == "local"


def test_the_root_file_system_can_be_read_only(world: World, image: str) -> None:
    definition = world.register(shell("echo x > /file", image, readonlyRootFilesystem=True))
    task = world.run(definition)
    assert task["containers"][0]["exitCode"] != 0
    assert "Read-only file system" in world.log(task["taskArn"])[0]
