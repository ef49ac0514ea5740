"""Builds as a client sees them."""

from time import monotonic, sleep

import pytest
from botocore.exceptions import ClientError

from pipeline.localaws.codebuild.service import CONCURRENT_BUILDS, STATE_CHANGE
from pipeline.localaws.machine.processes import mark_of, process_ids
from tests.localaws.codebuild.conftest import PATIENCE, Bench, context, phases

ALL_PHASES = """
version: 0.2
env:
  shell: bash
  variables:
    GREETING: from the buildspec
  exported-variables: [ANSWER, LATER, NEVER_SET]
phases:
  install:
    runtime-versions: {python: 3.12}
    commands:
      - export ANSWER=42
      - mkdir sub && cd sub
    finally:
      - echo installed
  pre_build:
    commands:
      - echo "$ANSWER in $(basename "$PWD")"
  build:
    commands:
      - echo "$GREETING"
      - |
        LATER="two
        lines"
      - test -n "$CODEBUILD_BUILD_ID"
  post_build:
    commands:
      - echo "succeeding $CODEBUILD_BUILD_SUCCEEDING"
"""


def test_all_phases_run_in_one_shell(bench: Bench) -> None:
    build = bench.run(ALL_PHASES)
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    assert list(phases(build)) == [
        "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
        "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
    ]  # fmt: skip
    assert bench.output(build) == ["installed", "42 in sub", "from the buildspec", "succeeding 1"]
    assert build["exportedEnvironmentVariables"] == [
        {"name": "ANSWER", "value": "42"},
        {"name": "LATER", "value": "two\nlines"},
    ]
    assert build["currentPhase"] == "COMPLETED"
    assert all(phase["durationInSeconds"] >= 0 for phase in build["phases"][:-1])


def test_a_failing_command_is_named_with_its_exit_code(bench: Bench) -> None:
    build = bench.run(
        spec(
            build="commands: [echo before, exit 7, echo never]",
            post_build="commands: [echo post $CODEBUILD_BUILD_SUCCEEDING]",
        )
    )
    assert build["buildStatus"] == "FAILED"
    assert context(build, "BUILD") == (
        "COMMAND_EXECUTION_ERROR",
        "Error while executing command: exit 7. Reason: exit status 7",
    )
    assert bench.output(build) == ["before", "post 0"]
    assert any(line.endswith("Phase complete: BUILD State: FAILED") for line in bench.log(build))


def spec(**phases: str) -> str:
    """A buildspec whose phases are given in YAML."""
    return "version: 0.2\nphases:\n" + "".join(f"  {name}: {{{text}}}\n" for name, text in phases.items())


def test_a_failed_pre_build_skips_the_build_and_its_finally_still_runs(bench: Bench) -> None:
    build = bench.run(spec(pre_build="commands: ['false'], finally: [echo finally]", build="commands: [echo never]"))
    assert build["buildStatus"] == "FAILED"
    assert "BUILD" not in phases(build)
    assert "UPLOAD_ARTIFACTS" not in phases(build)
    assert bench.output(build) == ["finally"]


def test_a_failing_finally_fails_its_phase(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['true'], finally: [exit 9]"))
    assert phases(build)["BUILD"] == "FAILED"
    assert context(build, "BUILD")[1].endswith("exit status 9")


def test_continue_lets_the_build_go_on_and_succeed(bench: Bench) -> None:
    build = bench.run(
        spec(
            install="commands: ['false'], on-failure: CONTINUE",
            build="commands: [echo built $CODEBUILD_BUILD_SUCCEEDING]",
        )
    )
    assert (build["buildStatus"], phases(build)["INSTALL"]) == ("SUCCEEDED", "FAILED")
    assert bench.output(build) == ["built 0"]


def test_abort_leaves_out_post_build(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['false'], on-failure: ABORT", post_build="commands: [echo never]"))
    assert build["buildStatus"] == "FAILED"
    assert bench.output(build) == []


def test_a_wrong_buildspec_fails_the_download_phase_and_names_the_key(bench: Bench) -> None:
    build = bench.run("version: 0.2\nphases: {biuld: {}}")
    assert build["buildStatus"] == "FAILED"
    assert context(build, "DOWNLOAD_SOURCE") == (
        "YAML_FILE_ERROR",
        "buildspec: phases.biuld: there is no such key",
    )


def test_only_a_privileged_build_is_given_base_images(bench: Bench) -> None:
    spec = "version: 0.2\nphases: {build: {commands: [env > seen]}}\n"
    environment = {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"}
    for privileged in (True, False):
        ended = bench.run(spec, {"environment": {**environment, "privilegedMode": privileged}})
        said = [line for line in bench.log(ended) if "base images of" in line]
        assert bool(said) is privileged


def test_a_missing_service_role_is_named(bench: Bench) -> None:
    role = "arn:aws:iam::123456789012:role/nobody"
    build = bench.run(spec(build="commands: ['true']"), {"serviceRole": role})
    assert build["buildStatus"] == "FAILED"
    assert role in context(build, "DOWNLOAD_SOURCE")[1]


def test_the_build_acts_as_its_service_role_at_our_endpoint(bench: Bench) -> None:
    build = bench.run(spec(build="commands: [aws sts get-caller-identity --query Arn --output text]"))
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    own = build["id"].partition(":")[2]
    assert bench.output(build) == [f"arn:aws:sts::123456789012:assumed-role/build/AWSCodeBuild-{own}"]


def test_codebuilds_own_variables_are_set(bench: Bench) -> None:
    names = (
        "CODEBUILD_BUILD_ID CODEBUILD_BUILD_ARN CODEBUILD_BUILD_NUMBER CODEBUILD_BUILD_SUCCEEDING CODEBUILD_CI "
        "CODEBUILD_INITIATOR AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL DOCKER_HOST"
    )
    build = bench.run(spec(build=f"commands: ['for name in {names}; do eval \"echo \\$$name\"; done']"))
    assert bench.output(build) == [
        build["id"], build["arn"], "1", "1", "true", "root", "eu-west-1", "eu-west-1", bench.region.endpoint,
        "unix:///nowhere/docker.sock",
    ]  # fmt: skip


def test_variables_of_the_start_win_over_the_projects_and_those_over_the_buildspecs(bench: Bench) -> None:
    environment = {
        "type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "B", "value": "project"}, {"name": "C", "value": "project"}],
    }  # fmt: skip
    build = bench.run(
        spec(build="commands: [echo $A $B $C]") + "env: {variables: {A: spec, B: spec, C: spec}}",
        {"environment": environment},
        environmentVariablesOverride=[{"name": "C", "value": "start"}],
    )
    assert bench.output(build) == ["spec project start"]


def test_secret_values_are_given_to_the_build_and_hidden_in_its_log(bench: Bench) -> None:
    bench.client("ssm").put_parameter(Name="/cb/token", Value="tok-12345", Type="SecureString", Overwrite=True)
    bench.client("secretsmanager").create_secret(Name="cb-db", SecretString='{"password": "hunter2!"}')
    build = bench.run(
        spec(build="commands: ['echo \"$TOKEN and $PASSWORD\"', 'test \"$TOKEN\" = tok-12345', 'echo ${#PASSWORD}']")
        + "env: {parameter-store: {TOKEN: /cb/token}, exported-variables: [TOKEN, PASSWORD]}",
        environmentVariablesOverride=[
            {"name": "PASSWORD", "value": "cb-db:password", "type": "SECRETS_MANAGER"},
        ],
    )
    assert build["buildStatus"] == "SUCCEEDED", bench.log(build)
    assert bench.output(build) == ["*** and ***", "8"]
    assert not any("tok-12345" in line or "hunter2!" in line for line in bench.log(build))
    assert build["exportedEnvironmentVariables"] == []


def test_a_missing_secret_is_named(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['true']") + "env: {secrets-manager: {A: cb-none:key}}")
    assert context(build, "DOWNLOAD_SOURCE") == (
        "Secrets Manager Error",
        "secret cb-none: ResourceNotFoundException",
    )


def test_output_is_in_the_log_while_the_command_still_runs(bench: Bench) -> None:
    build = bench.start(bench.project(spec(build="commands: ['echo early; sleep 60']")))
    until = monotonic() + PATIENCE
    found = bench.get(build)
    while monotonic() < until and not ("groupName" in found["logs"] and "early" in bench.output(found)):
        sleep(0.05)
        found = bench.get(build)
    assert found["currentPhase"] == "BUILD"
    bench.client().stop_build(id=build)
    assert bench.wait(build)["buildStatus"] == "STOPPED"


def test_a_stopped_build_ends_with_all_its_processes(bench: Bench) -> None:
    build = bench.start(bench.project(spec(build="commands: ['setsid sleep 300 & sleep 300'], finally: [echo never]")))
    until = monotonic() + PATIENCE
    while monotonic() < until and bench.get(build)["currentPhase"] != "BUILD":
        sleep(0.05)
    sleep(0.2)
    bench.client().stop_build(id=build)
    ended = bench.wait(build)
    assert (ended["buildStatus"], phases(ended)["BUILD"]) == ("STOPPED", "STOPPED")
    assert marked(build) == []
    assert bench.output(ended) == []


def test_a_background_child_does_not_outlive_its_build(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['nohup sleep 300 &', 'setsid sleep 300 &', sleep 0.5]"))
    assert build["buildStatus"] == "SUCCEEDED"
    assert marked(build["id"]) == []
    assert any("Ended 2 processes of the build" in line for line in bench.log(build))


def test_a_build_that_takes_too_long_times_out(bench: Bench) -> None:
    project = bench.project(spec(build="commands: [sleep 300]"))
    # The API's shortest time is five minutes; the service keeps what it is given.
    bench.service.projects[project]["timeoutInMinutes"] = 0.1
    build = bench.wait(bench.start(project))
    assert (build["buildStatus"], phases(build)["BUILD"]) == ("TIMED_OUT", "TIMED_OUT")
    assert context(build, "BUILD")[0] == "BUILD_TIMED_OUT"
    assert marked(build["id"]) == []


def test_retry_runs_the_same_build_again(bench: Bench) -> None:
    first = bench.run(
        spec(build="commands: [echo $WORD]"), environmentVariablesOverride=[{"name": "WORD", "value": "w"}]
    )
    again = bench.wait(bench.client().retry_build(id=first["id"])["build"]["id"])
    assert again["id"] != first["id"]
    assert (again["buildNumber"], bench.output(again)) == (2, ["w"])


def test_a_token_starts_one_build_only(bench: Bench) -> None:
    project = bench.project(spec(build="commands: ['true']"))
    first = bench.start(project, idempotencyToken="once")
    assert bench.start(project, idempotencyToken="once") == first
    bench.wait(first)
    assert bench.client().list_builds_for_project(projectName=project)["ids"] == [first]


def test_more_builds_than_places_wait_in_the_queue_and_can_be_stopped_there(bench: Bench) -> None:
    project = bench.project(spec(build="commands: [sleep 300]"))
    builds = [bench.start(project) for _ in range(CONCURRENT_BUILDS + 1)]
    until = monotonic() + PATIENCE
    while monotonic() < until and any(bench.get(build)["currentPhase"] != "BUILD" for build in builds[:-1]):
        sleep(0.05)
    assert bench.get(builds[-1])["currentPhase"] == "QUEUED"
    for build in reversed(builds):
        bench.client().stop_build(id=build)
    assert {bench.wait(build)["buildStatus"] for build in builds} == {"STOPPED"}
    assert list(phases(bench.get(builds[-1]))) == ["SUBMITTED", "QUEUED", "COMPLETED"]


def test_a_projects_own_limit_is_kept(bench: Bench) -> None:
    project = bench.project(spec(build="commands: [sleep 300]"), concurrentBuildLimit=1)
    build = bench.start(project)
    with pytest.raises(ClientError, match="AccountLimitExceededException"):
        bench.start(project)
    bench.client().stop_build(id=build)
    bench.wait(build)


def test_every_change_of_state_is_an_event(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['false']"))
    own = [detail for kind, detail in bench.events if kind == STATE_CHANGE and detail["build-id"] == build["arn"]]
    assert [detail["build-status"] for detail in own] == ["IN_PROGRESS", "FAILED"]
    assert own[-1]["additional-information"]["phases"][-1]["phase-type"] == "COMPLETED"


def test_nothing_of_a_build_stays_on_disk(bench: Bench) -> None:
    build = bench.run(spec(build="commands: ['mkdir -p ~/ro/sub && touch ~/ro/sub/x && chmod -R a-w ~/ro']"))
    assert build["buildStatus"] == "SUCCEEDED"
    own = build["id"].partition(":")[2]
    assert not (bench.region.folder / "codebuild" / "builds" / own[:8]).exists()
    assert not (bench.region.folder / "codebuild" / "processes" / f"{own}.json").exists()


def marked(build: str) -> list[int]:
    """The processes that carry the mark of a build."""
    return [pid for pid in process_ids() if mark_of(pid) == build.partition(":")[2]]
