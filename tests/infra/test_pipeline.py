"""The way of a commit: which stages and actions there are, and in which order."""

import json

from pipeline import prune
from pipeline.settings import parse
from tests.infra.conftest import PROJECT, SETTINGS, Assembly

STACKS = ("network", "tasks", "airflow")


def order(actions: list[dict[str, object]]) -> list[set[str]]:
    """Names of a stage's actions, those side by side together."""
    numbers = sorted({action["RunOrder"] for action in actions}, key=str)
    return [{str(action["Name"]) for action in actions if action["RunOrder"] == number} for number in numbers]


def deployed(environment: str) -> list[set[str]]:
    return [{f"etl-{environment}-{part}.{verb}"} for part in STACKS for verb in ("Prepare", "Deploy")]


def test_a_commit_passes_source_synth_update_tests_and_the_environments_in_order(assembly: Assembly) -> None:
    assert list(assembly.stages()) == ["Source", "Build", "UpdatePipeline", "TestAndBuild", "dev", "prod"]


def test_prune_finds_the_environments_among_the_stages(assembly: Assembly) -> None:
    stages = [
        {"name": name, "actions": [{"configuration": action["Configuration"]} for action in actions]}
        for name, actions in assembly.stages().items()
    ]
    assert prune.deployed({"stages": stages}, parse(SETTINGS)) == ["dev", "prod"]


def test_tests_and_image_builds_run_side_by_side(assembly: Assembly) -> None:
    [together] = order(assembly.stages()["TestAndBuild"])
    assert together >= {"test-dags", "test-containers", "test-stacks", "build-images"}


def test_an_environment_gets_its_stacks_in_order_and_then_the_dags(assembly: Assembly) -> None:
    assert order(assembly.stages()["dev"]) == [*deployed("dev"), {"sync-dev"}]


def test_approval_comes_before_anything_in_production_changes(assembly: Assembly) -> None:
    assert order(assembly.stages()["prod"]) == [{"dossier-prod"}, {"approve"}, *deployed("prod"), {"sync-prod"}]


def test_who_approves_reads_the_commit_what_dev_runs_and_the_dossier(assembly: Assembly) -> None:
    [approve] = [action for action in assembly.stages()["prod"] if action["Name"] == "approve"]
    assert approve["Configuration"] == {
        "CustomData": (
            "Release commit #{Source@etl.CommitId} to prod. dev runs it as #{dev@sync-dev.RELEASE}. "
            "#{prod@dossier-prod.DOSSIER}"
        ),
        "ExternalEntityLink": "#{prod@dossier-prod.DOSSIER_LINK}",
    }
    spaces = {action.get("Namespace") for actions in assembly.stages().values() for action in actions}
    assert {"Source@etl", "dev@sync-dev", "prod@dossier-prod"} <= spaces


def test_the_dossier_and_the_release_get_what_tests_and_builds_left(assembly: Assembly) -> None:
    stages = assembly.stages()
    left = {
        action["Name"]: action["OutputArtifacts"][0]["Name"]
        for action in stages["TestAndBuild"]
        if "OutputArtifacts" in action
    }
    for stage, name in (("prod", "dossier-prod"), ("prod", "sync-prod"), ("dev", "sync-dev")):
        [step] = [action for action in stages[stage] if action["Name"] == name]
        taken = {artifact["Name"] for artifact in step["InputArtifacts"]}
        assert taken >= {left[each] for each in ("test-dags", "test-containers", "test-stacks", "build-images")}


def test_the_pipeline_updates_itself_with_the_pinned_cli_and_starts_again(assembly: Assembly) -> None:
    update = json.loads(assembly.projects()["etl-update-pipeline"]["Source"]["BuildSpec"])
    assert update["phases"]["install"]["commands"] == ["npm install -g aws-cdk@2.1.0"]
    assert "deploy etl-pipeline" in update["phases"]["build"]["commands"][0]
    pipeline = assembly.one("AWS::CodePipeline::Pipeline")["Properties"]
    assert pipeline["RestartExecutionOnUpdate"] is True
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "SUPERSEDED")


def test_the_execution_mode_and_the_environments_are_those_of_the_settings(wide_assembly: Assembly) -> None:
    assert wide_assembly.one("AWS::CodePipeline::Pipeline", "dwh-pipeline")["Properties"]["ExecutionMode"] == "QUEUED"
    assert list(wide_assembly.stages())[-3:] == ["dev", "test", "prod"]


def test_a_push_to_the_branch_starts_the_pipeline(assembly: Assembly) -> None:
    pattern = assembly.one("AWS::Events::Rule")["Properties"]["EventPattern"]
    assert pattern["detail"]["referenceName"] == ["main"]
    assert assembly.stages()["Source"][0]["Configuration"]["PollForSourceChanges"] is False


def test_nobody_loses_their_history_with_the_stack(assembly: Assembly) -> None:
    assert assembly.one("AWS::CodeCommit::Repository")["DeletionPolicy"] == "RetainExceptOnCreate"


def test_every_step_has_a_stable_name_a_log_of_its_own_and_encryption(assembly: Assembly) -> None:
    projects = assembly.projects()
    assert set(projects) >= {
        "etl-synth", "etl-update-pipeline", "etl-test-dags", "etl-test-containers", "etl-test-stacks",
        "etl-build-images", "etl-sync-dev", "etl-sync-prod",
    }  # fmt: skip
    logs = assembly.resources("AWS::Logs::LogGroup", "etl-pipeline")
    names = {log["Properties"]["LogGroupName"] for log in logs.values() if log["Properties"]["RetentionInDays"] > 0}
    assert names == {f"/aws/codebuild/{name}" for name in projects}
    assert all("EncryptionKey" in project for project in projects.values())


def test_only_steps_that_build_images_get_docker(assembly: Assembly) -> None:
    privileged = {name for name, project in assembly.projects().items() if project["Environment"]["PrivilegedMode"]}
    assert privileged == {"etl-test-containers", "etl-build-images"}


def test_a_graceful_release_may_take_as_long_as_running_tasks_may_take(wide_assembly: Assembly) -> None:
    minutes = {name: project["TimeoutInMinutes"] for name, project in wide_assembly.projects().items()}
    assert minutes["dwh-sync-dev"] > 12 * 60
    assert minutes["dwh-sync-test"] == 120


def test_the_cdk_cli_that_package_json_pins_is_one_version() -> None:
    pinned = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))["devDependencies"]["aws-cdk"]
    locked = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))
    assert locked["packages"]["node_modules/aws-cdk"]["version"] == pinned
