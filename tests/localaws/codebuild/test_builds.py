"""Builds as a client sees them."""

from tests.localaws.codebuild.conftest import Bench, context, phases

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
        "version: 0.2\nphases: {build: {commands: [echo before, exit 7, echo never]}, post_build: {commands: ['echo post $CODEBUILD_BUILD_SUCCEEDING']}}"
    )
    assert build["buildStatus"] == "FAILED"
    assert context(build, "BUILD") == (
        "COMMAND_EXECUTION_ERROR",
        "Error while executing command: exit 7. Reason: exit status 7",
    )
    assert bench.output(build) == ["before", "post 0"]
    assert any(line.endswith("Phase complete: BUILD State: FAILED") for line in bench.log(build))
