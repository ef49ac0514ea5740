"""The whole way of a commit, end to end: one test after the other goes on where the last one left the project.

Nothing here asks the pipeline's own word alone: what a stage says it did is looked up where it must have happened.
"""

import json
import os
import signal
from typing import Any

import pytest

from tests.journey.leftovers import leftovers
from tests.journey.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.journey]

DAGS = {f"dags/{name}.py" for name in ("assets", "fargate", "orders_backfill", "orders_daily", "orders_report")}


def test_make_run_brings_the_first_commit_to_dev_and_waits_before_prod(project: Project) -> None:
    ended = project.make_run()
    assert ended.code == 0
    assert "approve — waits for a release manager" in ended.output
    assert "pipeline approve" in ended.output
    assert {name for name, images in project.images().items() if len(images) == 1} == {
        "base", "ingest", "report", "transform",
    }  # fmt: skip
    bucket = project.bucket("dev")
    assert bucket.keys() >= DAGS
    for key in DAGS:
        assert project.read("dev", key) == (project.folder / key).read_bytes()
    released = json.loads(project.read("dev", "dags/_release.json"))
    assert set(project.revisions("dev").values()) <= set(
        json.dumps(released).replace('"', " ").replace(",", " ").split()
    )


def test_the_aws_cli_agrees(project: Project) -> None:
    state = project.aws("codepipeline", "get-pipeline-state", "--name=etl")
    [prod] = [stage for stage in state["stageStates"] if stage["stageName"] == "prod"]
    assert prod["latestExecution"]["status"] == "InProgress"
    # The other one began when the pipeline was created, before there was a commit.
    execution, _ = project.aws("codepipeline", "list-pipeline-executions", "--pipeline-name=etl")[
        "pipelineExecutionSummaries"
    ]
    head = project.aws("codecommit", "get-branch", "--repository-name=etl", "--branch-name=main")["branch"]["commitId"]
    assert execution["sourceRevisions"][0]["revisionId"] == head
    actions = project.aws(
        "codepipeline", "list-action-executions", "--pipeline-name=etl",
        "--filter", f"pipelineExecutionId={execution['pipelineExecutionId']}",
    )["actionExecutionDetails"]  # fmt: skip
    builds = {
        action["actionName"]: action["output"]["executionResult"]["externalExecutionId"]
        for action in actions
        if action["input"]["actionTypeId"]["provider"] == "CodeBuild"
    }
    [build] = project.aws("codebuild", "batch-get-builds", "--ids", builds["test-dags"])["builds"]
    assert build["buildStatus"] == "SUCCEEDED"
    reports = project.aws("codebuild", "batch-get-reports", "--report-arns", *build["reportArns"])["reports"]
    [tests] = [report for report in reports if report["type"] == "TEST"]
    cases = project.aws("codebuild", "describe-test-cases", f"--report-arn={tests['arn']}")["testCases"]
    assert tests["testSummary"]["total"] == len(cases) > len(DAGS)
    assert {case["status"] for case in cases} <= {"SUCCEEDED", "SKIPPED"}
    log = project.aws(
        "logs", "get-log-events", f"--log-group-name={build['logs']['groupName']}",
        f"--log-stream-name={build['logs']['streamName']}",
    )["events"]  # fmt: skip
    assert any("pipeline test dags" in event["message"] for event in log)
    [image] = project.aws("ecr", "describe-images", "--repository-name=etl/ingest")["imageDetails"]
    definition = project.aws(
        "ecs", "describe-task-definition", f"--task-definition={project.revisions('dev')['ingest']}"
    )["taskDefinition"]
    assert definition["containerDefinitions"][0]["image"].rpartition(":")[2] in image["imageTags"]
    stacks = project.aws("cloudformation", "describe-stacks")["Stacks"]
    assert {stack["StackStatus"] for stack in stacks} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    listed = project.sh("aws", "s3", "ls", f"s3://{project.output('etl-dev-airflow', 'Bucket')}/dags/").output
    assert "orders_daily.py" in listed


def test_a_dag_run_works_in_the_images_of_the_release_and_its_data_starts_the_next_dag(project: Project) -> None:
    """What the numbers must be is proven with the containers; here they have come all the way through Airflow."""
    assert project.sh("pipeline", "local", "airflow", "run", "orders_daily", "--day", "2026-01-02").code == 0
    bucket, s3 = project.output("etl-dev-tasks", "DataBucket"), project.client("s3")
    report = json.loads(s3.get_object(Bucket=bucket, Key="reports/daily/2026-01-02.json")["Body"].read())
    assert report["orders"] > 0
    assert s3.get_object(Bucket=bucket, Key="tables/orders/day=2026-01-02/orders.parquet")["Body"].read(4) == b"PAR1"
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="reports/sales.json")  # orders_report followed by itself
    ecs = project.client("ecs")
    arns = ecs.list_tasks(cluster="etl-dev", desiredStatus="STOPPED")["taskArns"]
    containers = [task["containers"][0] for task in ecs.describe_tasks(cluster="etl-dev", tasks=arns)["tasks"]]
    assert {container["name"] for container in containers} == {"ingest", "transform", "report"}
    for container in containers:
        assert container["exitCode"] == 0
        assert container["imageDigest"] in project.images()[container["name"]]


def test_approval_brings_the_same_release_to_prod(project: Project) -> None:
    ended = project.sh("pipeline", "approve", "--comment", "Looks good")
    assert ended.code == 0
    assert project.actions()["prod/sync-prod"] == "Succeeded"
    for key in DAGS:
        assert project.read("prod", key) == project.read("dev", key)
    assert release(project, "prod")["commit"] == release(project, "dev")["commit"]


def test_one_edited_dag_is_the_one_file_that_is_written(project: Project) -> None:
    bucket, images, revisions = project.bucket("dev"), project.images(), project.revisions("dev")
    project.edit("dags/orders_daily.py", "timedelta(minutes=2)", "timedelta(minutes=3)")
    assert project.push("Retry later").code == 0
    assert changed(bucket, project.bucket("dev")) == {
        "dags/orders_daily.py", "releases/current.json", release_key(project, "dev"),
    }  # fmt: skip
    assert (project.images(), project.revisions("dev")) == (images, revisions)


def test_a_commit_that_touches_only_the_readme_writes_and_builds_nothing(project: Project) -> None:
    before = project.bucket("dev"), project.images(), project.revisions("dev")
    readme = project.folder / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + "\nOurs.\n", encoding="utf-8")
    assert project.push("Say whose it is").code == 0
    assert (project.bucket("dev"), project.images(), project.revisions("dev")) == before


def test_an_edited_container_is_the_one_image_that_changes_and_a_run_in_flight_ends_in_the_old_one(
    project: Project,
) -> None:
    images, revisions = project.images(), project.revisions("dev")
    source = next((project.folder / "containers/ingest/src").rglob("__main__.py"))
    source.write_text(source.read_text(encoding="utf-8") + "# Ours.\n", encoding="utf-8")
    project.edit("dags/orders_daily.py", 'tags=["orders"]', 'tags=["orders", "ours"]')
    project.send("Change what ingest does, and the DAG that uses it")
    project.await_action("TestAndBuild/build-images", "Succeeded")
    in_flight = project.start_dag("orders_daily", "2026-01-03")
    assert project.sh("pipeline", "watch").code == 0
    now = project.images()
    assert {name for name in now if now[name] != images[name]} == {"ingest"}
    assert len(now["ingest"]) == 2
    assert changed(revisions, project.revisions("dev")) == {"ingest"}
    released = json.loads(project.read("dev", "dags/_release.json"))
    assert released["containers"]["ingest"]["task_definition"] == project.revisions("dev")["ingest"]
    assert "runs in flight end in the images they began with" in project.sh("pipeline", "logs", "sync-dev").output
    # All of its tasks had ended when the release came.
    runs = project.runs_of_tasks("dev")
    assert runs[in_flight] == [revisions[name] for name in ("ingest", "report", "transform", "transform")]
    assert project.sh("pipeline", "local", "airflow", "run", "orders_daily", "--day", "2026-01-04").code == 0
    later = [tasks for run, tasks in project.runs_of_tasks("dev").items() if run not in runs and run.startswith("cli-")]
    assert [project.revisions("dev")["ingest"] in tasks for tasks in later] == [True]


def test_every_failure_is_told_where_it_happened_and_the_last_good_release_stays(project: Project) -> None:
    before = project.bucket("dev")
    (project.folder / "dags/broken.py").write_text("from airflow.sdk import DAG\n\nwith DAG(\n", encoding="utf-8")
    test = project.folder / "containers/report/tests/test_ours.py"
    test.write_text("def test_the_total_is_right() -> None:\n    assert 2 + 2 == 5\n", encoding="utf-8")
    dockerfile = project.folder / "containers/transform/Dockerfile"
    sound = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(sound + "RUN no-such-program --at-all\n", encoding="utf-8")
    ended = project.push("Break three things at once")
    (project.folder / "dags/broken.py").unlink()
    test.unlink()
    dockerfile.write_text(sound, encoding="utf-8")
    assert ended.code == 1
    failed = {action for action, status in project.actions().items() if status == "Failed"}
    assert failed == {"TestAndBuild/test-dags", "TestAndBuild/test-containers", "TestAndBuild/build-images"}
    status = project.sh("pipeline", "status").output
    for reason in ("dags/broken.py", "no-such-program"):
        assert reason in status
    assert "test_the_total_is_right" in project.sh("pipeline", "reports").output
    assert project.bucket("dev") == before


def test_what_only_the_environment_finds_fails_its_release_and_the_one_before_comes_back(project: Project) -> None:
    sound = project.read("dev", "dags/orders_report.py")
    dag = project.folder / "dags/orders_report.py"
    only_there = '\nimport os\n\nif "AIRFLOW_ENV_NAME" in os.environ:\n    raise RuntimeError("not on MWAA")\n'
    dag.write_bytes(sound + only_there.encode())
    ended = project.push("Work here only")
    dag.write_bytes(sound)
    assert ended.code == 1
    assert {action for action, status in project.actions().items() if status == "Failed"} == {"dev/sync-dev"}
    status = project.sh("pipeline", "status").output
    for reason in ("RuntimeError: not on MWAA", "was restored"):
        assert reason in status
    assert project.read("dev", "dags/orders_report.py") == sound
    # pip's failure is found before a release; the one by hand is not held up by a test.
    requirements = project.folder / "dags/requirements.txt"
    few = requirements.read_text(encoding="utf-8")
    requirements.write_text(f"{few}no-such-package-anywhere==1.0\n", encoding="utf-8")
    by_hand = project.sh("pipeline", "sync", "dev")
    requirements.write_text(few, encoding="utf-8")
    assert by_hand.code == 1
    assert "no-such-package-anywhere" in by_hand.output
    assert "was restored" in by_hand.output
    environment = project.aws("mwaa", "get-environment", "--name=etl-dev")["Environment"]
    assert environment["Status"] == "AVAILABLE"
    installed = project.read("dev", "requirements.txt", environment["RequirementsS3ObjectVersion"])
    assert installed.decode() == few


def test_a_new_environment_and_a_new_step_are_run_by_the_commit_that_brings_them(project: Project) -> None:
    """Its first template does not deploy: the execution stops there, and the next good push deploys."""
    document = json.loads((project.folder / "cdk.json").read_text(encoding="utf-8"))
    environments = document["context"]["pipeline"]["environments"]
    document["context"]["pipeline"]["environments"] = {"dev": {}, "stage": {}, "prod": environments["prod"]}
    (project.folder / "cdk.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    step = '        Step("test-stacks", "test-stacks", QUICK),\n'
    project.edit("pipeline/infra/steps.py", step, step + step.replace("test-stacks", "check-readme"))
    (project.folder / "buildspecs/check-readme.yml").write_text(
        'version: "0.2"\nphases:\n  build:\n    commands: ["test -s README.md"]\n', encoding="utf-8"
    )
    taken = "log_group_name=task_names.log_group(settings, environment)"
    if_stage = taken.replace("=task", '="/aws/codebuild/etl-synth" if environment == "stage" else task')
    project.edit("pipeline/infra/fargate.py", taken, if_stage)
    ended = project.push("Add an environment and a step")
    project.edit("pipeline/infra/fargate.py", if_stage, taken)
    assert ended.code == 1
    actions = project.actions()
    assert {action for action, status in actions.items() if status == "Failed"} == {"stage/etl-stage-tasks.Deploy"}
    assert (actions["TestAndBuild/check-readme"], actions["dev/sync-dev"]) == ("Succeeded", "Succeeded")
    assert "log group already exists" in project.sh("pipeline", "status").output
    assert project.push("Give the log its own name").code == 0
    assert project.actions()["stage/sync-stage"] == "Succeeded"
    assert project.bucket("stage").keys() >= DAGS


def test_a_server_that_is_killed_in_the_middle_is_made_good_by_make_run(project: Project) -> None:
    (project.folder / "dags/orders_daily.py").open("a", encoding="utf-8").write("# Ours too.\n")
    commit = project.commit("Go on")
    assert project.sh("git", "push", "--quiet", "local", "main").code == 0
    assert project.await_execution(commit)
    record = json.loads((project.folder / ".local/processes/server.process.json").read_text(encoding="utf-8"))
    os.kill(record["pid"], signal.SIGKILL)
    assert project.make_run().code == 0
    assert project.actions()["dev/sync-dev"] == "Succeeded"
    assert release(project, "dev")["commit"] == commit


def test_down_leaves_nothing_also_after_a_kill(project: Project) -> None:
    record = json.loads((project.folder / ".local/processes/server.process.json").read_text(encoding="utf-8"))
    assert leftovers(project.folder)
    os.kill(record["pid"], signal.SIGKILL)
    assert project.sh("pipeline", "local", "down").code == 0
    assert leftovers(project.folder) == []


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The keys whose values differ, those on one side only included."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def release_key(project: Project, environment: str) -> str:
    return f"releases/{json.loads(project.read(environment, 'releases/current.json'))['release']}.json"


def release(project: Project, environment: str) -> Any:
    return json.loads(project.read(environment, release_key(project, environment)))
