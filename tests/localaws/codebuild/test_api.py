"""Projects, report groups and lists, and the unmodified AWS CLI as the judge of builds and reports."""

import json
import os
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pipeline.process import run
from tests.localaws.codebuild.conftest import ROLE, Bench

BUILD = "version: 0.2\nphases: {build: {commands: ['true']}}\n"
GOOD: dict[str, Any] = {
    "source": {"type": "NO_SOURCE", "buildspec": BUILD},
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
    "serviceRole": ROLE,
}
JUNIT = """<testsuite name="s">
<testcase classname="t" name="good" time="0.1"/><testcase classname="t" name="bad"><failure message="no"/></testcase>
</testsuite>"""
COVERAGE = """<coverage><class filename="a.py"><lines><line number="1" hits="1"/><line number="2" hits="0"/></lines>
</class></coverage>"""


def aws(bench: Bench, *arguments: str) -> Any:
    """What the AWS CLI answers."""
    environment = {**bench.region.environment(), "AWS_PAGER": "", "HOME": os.environ.get("HOME", "/")}
    return json.loads(run([str(Path(sys.prefix) / "bin" / "aws"), *arguments, "--output", "json"], env=environment))


def test_the_aws_cli_agrees_with_what_a_build_did(bench: Bench) -> None:
    bucket = bench.bucket({"junit.xml": JUNIT, "out/cover.xml": COVERAGE, "broken.xml": "<testsuite>"})
    spec = (
        "version: 0.2\nphases: {build: {commands: [echo working, exit 3]}}\nreports:\n  unit: {files: [junit.xml]}\n"
        "  cover: {files: ['*.xml'], base-directory: out, file-format: COBERTURAXML}\n"
        "  broken: {files: [broken.xml]}\n  missing: {files: [none.xml]}\n"
    )
    name = bench.project(spec, source={"type": "S3", "location": f"{bucket}/source.zip", "buildspec": spec})
    started = aws(bench, "codebuild", "start-build", "--project-name", name)["build"]
    bench.wait(started["id"])

    build = aws(bench, "codebuild", "batch-get-builds", "--ids", started["id"])["builds"][0]
    failed = next(phase for phase in build["phases"] if phase["phaseType"] == "BUILD")
    assert (build["buildStatus"], failed["contexts"][0]["message"]) == (
        "FAILED",
        "Error while executing command: exit 3. Reason: exit status 3",
    )

    logs = build["logs"]
    assert logs["groupName"] == f"/aws/codebuild/{name}"
    where = ("--log-group-name", logs["groupName"], "--log-stream-name", logs["streamName"])
    events = aws(bench, "logs", "get-log-events", *where, "--start-from-head")["events"]
    assert "working\n" in [event["message"] for event in events]
    assert any("Report broken: broken.xml: not valid XML" in event["message"] for event in events)
    assert any("Report missing: no matching artifact paths found" in event["message"] for event in events)

    answer = aws(bench, "codebuild", "batch-get-reports", "--report-arns", *build["reportArns"])
    reports = {report["reportGroupArn"].rpartition(f"/{name}-")[2]: report for report in answer["reports"]}
    assert {group: report["status"] for group, report in reports.items()} == {
        "unit": "FAILED", "cover": "SUCCEEDED", "broken": "INCOMPLETE", "missing": "INCOMPLETE",
    }  # fmt: skip
    assert reports["unit"]["testSummary"] == {
        "total": 2,
        "statusCounts": {"SUCCEEDED": 1, "FAILED": 1, "ERROR": 0, "SKIPPED": 0, "UNKNOWN": 0},
        "durationInNanoSeconds": 100_000_000,
    }
    assert reports["cover"]["codeCoverageSummary"]["lineCoveragePercentage"] == 50.0

    unit = ("codebuild", "describe-test-cases", "--report-arn", reports["unit"]["arn"])
    bad = aws(bench, *unit, "--filter", "status=FAILED")["testCases"]
    assert [(case["prefix"], case["name"], case["message"]) for case in bad] == [("t", "bad", "no")]
    assert [case["name"] for case in aws(bench, *unit, "--filter", "keyword=goo")["testCases"]] == ["good"]
    files = aws(bench, "codebuild", "describe-code-coverages", "--report-arn", reports["cover"]["arn"])
    assert [file["filePath"] for file in files["codeCoverages"]] == ["a.py"]

    group = reports["unit"]["reportGroupArn"]
    listed = aws(bench, "codebuild", "list-reports-for-report-group", "--report-group-arn", group)["reports"]
    assert listed == [reports["unit"]["arn"]]
    assert group in aws(bench, "codebuild", "list-report-groups")["reportGroups"]


def test_a_report_group_by_arn_is_used_as_it_is(bench: Bench) -> None:
    client = bench.client()
    group = client.create_report_group(
        name=f"g-{uuid4().hex[:8]}", type="TEST", exportConfig={"exportConfigType": "NO_EXPORT"}
    )["reportGroup"]
    spec = (
        "version: 0.2\nphases: {build: {commands: ['echo \"<testsuites/>\" > a.xml']}}\n"
        f"reports: {{'{group['arn']}': {{files: [a.xml]}}, '{group['arn']}-none': {{files: [a.xml]}}}}"
    )
    build = bench.run(spec)
    assert [report.partition("report/")[2].partition(":")[0] for report in build["reportArns"]] == [group["name"]]
    with pytest.raises(ClientError, match="not empty"):
        client.delete_report_group(arn=group["arn"])
    client.delete_report_group(arn=group["arn"], deleteReports=True)
    assert client.batch_get_report_groups(reportGroupArns=[group["arn"]])["reportGroupsNotFound"] == [group["arn"]]
    assert client.batch_get_reports(reportArns=build["reportArns"])["reports"] == []


def test_of_a_long_report_the_failed_tests_are_kept(bench: Bench) -> None:
    spec = (
        'version: 0.2\nphases: {build: {commands: [\'(echo "<testsuite>"; '
        'for i in $(seq 600); do echo "<testcase name=\\"$i\\"/>"; done; '
        'echo "<testcase name=\\"bad\\"><failure/></testcase></testsuite>") > a.xml\']}}\n'
        "reports: {long: {files: [a.xml]}}"
    )
    build = bench.run(spec)
    report = bench.client().batch_get_reports(reportArns=build["reportArns"])["reports"][0]
    assert (report["testSummary"]["total"], report["truncated"]) == (601, True)
    pages = bench.client().get_paginator("describe_test_cases").paginate(reportArn=report["arn"])
    names = [case["name"] for page in pages for case in page["testCases"]]
    assert (len(names), names[0]) == (500, "bad")


def test_a_project_is_shown_as_it_was_made_and_changed(bench: Bench) -> None:
    client, name = bench.client(), f"p-{uuid4().hex[:8]}"
    made = client.create_project(name=name, **GOOD, tags=[{"key": "a", "value": "b"}])["project"]
    assert made["arn"] == f"arn:aws:codebuild:eu-west-1:123456789012:project/{name}"
    assert (made["timeoutInMinutes"], made["cache"], made["tags"]) == (
        60,
        {"type": "NO_CACHE"},
        [{"key": "a", "value": "b"}],
    )
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        client.create_project(name=name, **GOOD)
    client.update_project(name=name, timeoutInMinutes=7, tags=[], encryptionKey="k", autoRetryLimit=0)
    found = client.batch_get_projects(names=[name, "none"])
    assert found["projects"][0]["timeoutInMinutes"] == 7
    assert found["projects"][0]["source"]["buildspec"] == BUILD
    assert found["projectsNotFound"] == ["none"]
    assert name in client.list_projects()["projects"]
    client.delete_project(name=name)
    client.delete_project(name=name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.start_build(projectName=name)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"source": {"type": "GITHUB", "location": "x"}}, "does not implement source.type GITHUB"),
        ({"environment": {**GOOD["environment"], "type": "WINDOWS_CONTAINER"}}, "environment.type WINDOWS_CONTAINER"),
        ({"cache": {"type": "S3", "location": "b"}}, "does not implement cache.type S3"),
        ({"autoRetryLimit": 2}, "does not implement autoRetryLimit"),
        ({"buildBatchConfig": {"serviceRole": ROLE}}, "does not implement buildBatchConfig"),
        ({"logsConfig": {"s3Logs": {"status": "ENABLED", "location": "b"}}}, "does not implement logsConfig.s3Logs"),
        ({"source": {"type": "CODEPIPELINE"}}, "must both be of type CODEPIPELINE"),
        ({"source": {"type": "NO_SOURCE"}}, "NO_SOURCE needs a buildspec"),
        ({"artifacts": {"type": "S3"}}, "S3 artifacts need a location"),
    ],
)
def test_what_a_project_cannot_be_is_said_by_name(bench: Bench, members: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        bench.client().create_project(name=f"p-{uuid4().hex[:8]}", **{**GOOD, **members})


def test_operations_that_are_not_there_are_refused_by_name(bench: Bench) -> None:
    with pytest.raises(ClientError, match="does not implement codebuild:ListCuratedEnvironmentImages"):
        bench.client().list_curated_environment_images()


def test_builds_are_listed_newest_first_and_by_pages(bench: Bench) -> None:
    project = bench.project(BUILD)
    builds = [bench.start(project) for _ in range(3)]
    for build in builds:
        bench.wait(build)
    assert bench.client().list_builds_for_project(projectName=project)["ids"] == builds[::-1]
    assert bench.client().list_builds_for_project(projectName=project, sortOrder="ASCENDING")["ids"] == builds
    assert bench.client().list_builds()["ids"][:3] == builds[::-1]
    with pytest.raises(ClientError, match="Invalid next token"):
        bench.client().list_builds(nextToken="x")


def test_the_log_goes_where_the_project_says_or_nowhere(bench: Bench) -> None:
    named = bench.run(
        BUILD, {"logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "mine", "streamName": "pre"}}}
    )
    assert named["logs"]["groupName"] == "mine"
    assert named["logs"]["streamName"] == f"pre/{named['id'].partition(':')[2]}"
    assert bench.log(named)
    off = bench.run(BUILD, {"logsConfig": {"cloudWatchLogs": {"status": "DISABLED"}}})
    assert (off["buildStatus"], "groupName" in off["logs"]) == ("SUCCEEDED", False)
