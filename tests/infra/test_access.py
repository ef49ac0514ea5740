"""Least privilege: what no role may have, and what single roles may and may not do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3

from pipeline.errors import UsageError
from pipeline.images.containers import Container
from pipeline.infra import declared, nag
from pipeline.infra.access import Right, explain
from tests.infra.conftest import OTHER_ACCOUNT, Assembly, compose

VALUES = {"DataBucketArn": "arn:aws:s3:::data", "Region": "eu-west-1"}


def statements(assembly: Assembly, stack: str = "", role: str = "") -> Iterator[dict[str, Any]]:
    for name, policy in assembly.resources("AWS::IAM::Policy").items():
        if name.startswith(f"{stack}/{role}" if stack else ""):
            yield from policy["Properties"]["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(assembly: Assembly, stack: str, role: str) -> set[str]:
    return {action for statement in statements(assembly, stack, role) for action in listed(statement["Action"])}


@pytest.mark.parametrize("which", ["assembly", "wide_assembly"])
def test_no_role_has_a_family_of_actions(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    wide = {action for statement in statements(found) for action in listed(statement["Action"]) if "*" in action}
    assert wide == set()


def test_every_role_is_written_out_here(assembly: Assembly) -> None:
    """No managed policy and no inline one: all rights stand where this test sees them."""
    for role in assembly.resources("AWS::IAM::Role").values():
        assert not {"ManagedPolicyArns", "Policies"} & set(role["Properties"])


def test_only_what_has_no_narrower_resource_is_allowed_everywhere(assembly: Assembly) -> None:
    everywhere = {
        action
        for statement in statements(assembly)
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert everywhere == {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "ecs:DescribeTaskDefinition",
        "ecs:ListTasks",
        "inspector2:ListCoverage",
        "inspector2:ListFindings",
        "logs:DescribeLogGroups",
        "s3:GetAccountPublicAccessBlock",
    }


def test_tests_can_do_nothing_in_aws_but_report_and_hand_on(assembly: Assembly) -> None:
    for role in ("Roletestdags", "Roleteststacks", "Roletestcontainers"):
        services = {action.split(":")[0] for action in actions(assembly, "etl-pipeline", role)}
        assert services == {"s3", "kms", "logs", "codebuild"}
        written = [each for each in statements(assembly, "etl-pipeline", role) if "s3:PutObject" in each["Action"]]
        assert ["artifacts" in json.dumps(each["Resource"]).lower() for each in written] == [True]


def test_image_builds_ask_for_scans_of_the_projects_own_repositories_only(assembly: Assembly) -> None:
    [asking] = [
        statement
        for statement in statements(assembly, "etl-pipeline", "Rolebuildimages")
        if "ecr:DescribeImageScanFindings" in listed(statement["Action"])
    ]
    repositories = assembly.resources("AWS::ECR::Repository", "etl-pipeline")
    assert len(listed(asking["Resource"])) == len(repositories)
    assert "*" not in json.dumps(asking["Resource"])


def test_a_sync_step_has_the_release_role_of_its_environment_only(assembly: Assembly) -> None:
    assumed = [
        statement["Resource"]
        for statement in statements(assembly, "etl-pipeline", "Rolesyncdev")
        if statement["Action"] == "sts:AssumeRole"
    ]
    assert assumed == ["arn:aws:iam::123456789012:role/etl-dev-release"]


def trust(assembly: Assembly, stack: str, role_name: str) -> list[dict[str, Any]]:
    """The statements of a role's trust policy."""
    [role] = [
        role["Properties"]
        for role in assembly.resources("AWS::IAM::Role", stack).values()
        if role["Properties"].get("RoleName") == role_name
    ]
    return list(role["AssumeRolePolicyDocument"]["Statement"])


@pytest.mark.parametrize(("role", "step"), [("release", "sync"), ("reader", "dossier")])
def test_a_role_of_an_environment_trusts_the_one_step_that_needs_it(
    wide_assembly: Assembly, role: str, step: str
) -> None:
    [statement] = trust(wide_assembly, "dwh-prod-airflow", f"dwh-prod-{role}")
    taker = f"arn:aws:iam::123456789012:role/dwh-{step}-prod"
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [taker]}}
    assert OTHER_ACCOUNT not in json.dumps(statement["Principal"])


def test_people_release_by_hand_where_the_settings_name_them(tmp_path: Path) -> None:
    person = f"arn:aws:iam::{OTHER_ACCOUNT}:role/release-managers"
    assembly = compose(tmp_path, {"environments": {"dev": {}, "prod": {"releasers": [person]}}})
    for role in ("release", "reader"):
        statements = trust(assembly, "etl-prod-airflow", f"etl-prod-{role}")
        assert [person in each["Condition"]["ArnEquals"]["aws:PrincipalArn"] for each in statements] == [True] * len(
            statements
        )
        assert OTHER_ACCOUNT in json.dumps([each["Principal"] for each in statements])
    assert person not in json.dumps(trust(assembly, "etl-dev-airflow", "etl-dev-release"))


def test_the_dossier_changes_nothing(assembly: Assembly) -> None:
    verbs = {action.split(":")[1] for action in actions(assembly, "etl-prod-airflow", "ReaderRole")}
    assert not {verb for verb in verbs if not verb.startswith(("Get", "List", "Describe", "InvokeRestApi"))}


def test_self_mutation_may_only_deploy_where_the_pipeline_does(assembly: Assembly) -> None:
    [assuming] = [
        statement
        for statement in statements(assembly, "etl-pipeline", "WayUpdatePipeline")
        if statement["Action"] == "sts:AssumeRole"
    ]
    prefix = "arn:aws:iam::123456789012:role/cdk-hnb659fds"
    assert assuming["Resource"] == [
        f"{prefix}-deploy-role-123456789012-eu-west-1",
        f"{prefix}-file-publishing-role-123456789012-eu-west-1",
    ]


def test_airflow_may_run_the_tasks_of_its_own_environment_only(assembly: Assembly) -> None:
    found = list(statements(assembly, "etl-dev-airflow", "ExecutionRole"))
    [running] = [statement for statement in found if statement["Action"] == "ecs:RunTask"]
    prefix = "arn:aws:ecs:eu-west-1:123456789012"
    assert running["Resource"] == [f"{prefix}:task-definition/etl-dev-{task}:*" for task in ("load", "report")]
    assert running["Condition"] == {"ArnEquals": {"ecs:cluster": f"{prefix}:cluster/etl-dev"}}
    [passing] = [statement for statement in found if statement["Action"] == "iam:PassRole"]
    path = passing["Resource"].removeprefix("arn:aws:iam::123456789012:role").removesuffix("*")
    paths = {role["Properties"]["Path"] for role in assembly.resources("AWS::IAM::Role", "etl-dev-tasks").values()}
    assert paths == {path}


def test_a_tasks_code_may_do_what_its_container_declares_and_nothing_else(assembly: Assembly) -> None:
    assert actions(assembly, "etl-dev-tasks", "Roleload") == {"s3:PutObject"}
    assert actions(assembly, "etl-dev-tasks", "Rolereport") == set()


def test_another_account_can_take_templates_but_not_leave_anything(wide_assembly: Assembly) -> None:
    [policy] = [
        policy["Properties"]["PolicyDocument"]["Statement"]
        for name, policy in wide_assembly.resources("AWS::S3::BucketPolicy", "dwh-pipeline").items()
        if "Artifacts" in name
    ]
    given = [statement for statement in policy if OTHER_ACCOUNT in json.dumps(statement)]
    assert [statement["Action"] for statement in given] == [["s3:GetObject", "s3:GetObjectVersion"]]


def test_a_right_must_name_its_actions() -> None:
    with pytest.raises(ValueError, match="family of actions"):
        Right(("s3:Get*",), ("arn:aws:s3:::x",)).statement()


def test_a_wildcard_needs_its_reason() -> None:
    with pytest.raises(ValueError, match="without a reason"):
        explain(Stack(App(), "S"), [Right(("s3:GetObject",), ("arn:aws:s3:::x/*",))])


def test_a_resource_that_breaks_a_rule_stops_synth(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    s3.Bucket(Stack(app, "S"), "Open")
    nag.check(app)
    with pytest.raises(RuntimeError, match="AwsSolutions-S10"):
        app.synth()


def loading(**declaration: Any) -> Container:
    return Container("load", Path("containers/load"), **declaration)


def test_placeholders_of_a_policy_are_filled_and_iams_own_are_left() -> None:
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["${DataBucketArn}/a/${aws:username}"]}
    [filled] = declared.statements(loading(policy=(statement,)), VALUES)
    assert filled["Resource"] == ["arn:aws:s3:::data/a/${aws:username}"]


def test_an_unknown_placeholder_is_named_with_those_there_are() -> None:
    container = loading(policy=({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "${Bucket}/*"},))
    with pytest.raises(UsageError, match=r"\$\{Bucket\}; there are: \$\{DataBucketArn\}, \$\{Region\}"):
        declared.statements(container, VALUES)


@pytest.mark.parametrize(
    ("value", "resource", "action"),
    [
        ("etl/db", "arn:aws:secretsmanager:r:1:secret:etl/db-??????", "secretsmanager:GetSecretValue"),
        (
            "arn:aws:secretsmanager:r:1:secret:etl/db-a1B2c3:key::",
            "arn:aws:secretsmanager:r:1:secret:etl/db-a1B2c3",
            "secretsmanager:GetSecretValue",
        ),
        ("arn:aws:ssm:r:1:parameter/etl/db", "arn:aws:ssm:r:1:parameter/etl/db", "ssm:GetParameters"),
    ],
)
def test_a_secret_is_read_by_exactly_the_right_it_needs(value: str, resource: str, action: str) -> None:
    [secret] = declared.secrets(loading(secrets={"PASSWORD": value}), "1", "r")
    assert (secret.resource, secret.action) == (resource, action)


def test_a_secret_of_another_service_is_refused() -> None:
    with pytest.raises(UsageError, match="is in s3"):
        declared.secrets(loading(secrets={"PASSWORD": "arn:aws:s3:::bucket/key"}), "1", "r")
