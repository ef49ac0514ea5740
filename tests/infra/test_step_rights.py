"""Every build step may do what its command asks of AWS: a table by hand, held against the code and the templates."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.infra.conftest import PROJECT, Assembly
from tests.infra.test_access import actions, listed, statements

# Operation, as boto3 names it → the actions that IAM asks for (service authorization reference).
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "batch_get_image": ("ecr:BatchGetImage",),
    "copy_object": ("s3:GetObjectVersion", "s3:PutObject"),
    "delete_object": ("s3:DeleteObject",),
    "delete_objects": ("s3:DeleteObject",),
    # With enhanced scanning ECR asks Inspector, with the rights of whoever asks ECR (ECR user guide).
    "describe_image_scan_findings": (
        "ecr:DescribeImageScanFindings",
        "inspector2:ListCoverage",
        "inspector2:ListFindings",
    ),
    "describe_images": ("ecr:DescribeImages",),
    "describe_repositories": ("ecr:DescribeRepositories",),
    "describe_stacks": ("cloudformation:DescribeStacks",),
    "describe_task_definition": ("ecs:DescribeTaskDefinition",),
    "filter_log_events": ("logs:FilterLogEvents",),
    "get_authorization_token": ("ecr:GetAuthorizationToken",),
    "get_bucket_versioning": ("s3:GetBucketVersioning",),
    "get_caller_identity": (),  # whoever has credentials may
    "get_commit": ("codecommit:GetCommit",),
    "get_environment": ("airflow:GetEnvironment",),
    "get_object": ("s3:GetObject", "s3:GetObjectVersion"),
    "head_object": ("s3:GetObject", "s3:GetObjectVersion"),
    "invoke_rest_api": ("airflow:InvokeRestApi",),
    "list_objects_v2": ("s3:ListBucket",),
    "put_image": ("ecr:PutImage",),
    "put_object": ("s3:PutObject",),
    "update_environment": ("airflow:UpdateEnvironment", "iam:PassRole"),
}

READING = (
    "describe_stacks",
    "describe_task_definition",
    "get_caller_identity",
    "get_environment",
    "get_object",
    "get_bucket_versioning",
    "head_object",
    "invoke_rest_api",
    "list_objects_v2",
)
# Step, without the environment → what its command asks of AWS, and the role in the environment that it does it in.
STEPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "build-images": (
        (
            "batch_get_image",
            "describe_image_scan_findings",
            "describe_images",
            "describe_repositories",
            "get_authorization_token",
            "get_caller_identity",
            "put_image",
        ),
        (),
        "",
    ),
    "dossier-prod": (("get_caller_identity", "get_commit", "put_object"), READING, "ReaderRole"),
    "sync-dev": (
        ("get_caller_identity",),
        (
            *READING,
            "copy_object",
            "delete_object",
            "delete_objects",
            "filter_log_events",
            "put_object",
            "update_environment",
        ),
        "ReleaseRole",
    ),
}
# What the same modules do where no step of ours does it, or not with a right that is written here.
ELSEWHERE = {
    "batch_delete_image": "`pipeline images prune`, by people",
    "delete_stack": "`pipeline clear`: in CDK's deploy role, which is not ours to write",
    "get_secret_value": "for build secrets only, which these settings have none of; see test_registry.py",
}
SERVICES = ("cloudformation", "codecommit", "ecr", "ecs", "logs", "mwaa", "s3", "secretsmanager", "sts")
MODULES = ("aws.py", "release", "images", "operate/never_created.py")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_may_do_what_its_command_asks_of_aws(assembly: Assembly, step: str) -> None:
    own, there, role = STEPS[step]
    environment = f"etl-{step.rpartition('-')[2]}-airflow"
    lacking = [
        f"{operation} needs {action}"
        for operations, allowed in (
            (own, actions(assembly, "etl-pipeline", f"Role{step.replace('-', '')}")),
            (there, actions(assembly, environment, role)),
        )
        for operation in operations
        for action in OPERATIONS[operation]
        if action not in allowed
    ]
    assert lacking == []


def test_the_table_has_every_operation_that_a_command_of_a_step_calls() -> None:
    named = {operation for own, there, _ in STEPS.values() for operation in (*own, *there)}
    found = {operation: path.name for path in _sources() for operation in _called(path)}
    assert {operation: where for operation, where in found.items() if operation not in {*named, *ELSEWHERE}} == {}
    assert {*named, *ELSEWHERE} - found.keys() == set(), "nobody calls these any more"


def test_the_dossier_asks_for_commits_of_the_source_only(assembly: Assembly) -> None:
    asking = [
        each
        for each in statements(assembly, "etl-pipeline", "Roledossier")
        if "codecommit:GetCommit" in listed(each["Action"])
    ]
    partition: dict[str, object] = {"Ref": "AWS::Partition"}
    arn = {"Fn::Join": ["", ["arn:", partition, ":codecommit:eu-west-1:123456789012:etl"]]}
    assert [(listed(each["Action"]), listed(each["Resource"])) for each in asking] == [
        (["codecommit:GetCommit"], [arn])
    ]


def _sources() -> Iterator[Path]:
    for name in MODULES:
        path = PROJECT / "pipeline" / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _called(path: Path) -> Iterator[str]:
    """The operations of AWS that a module calls, by a client's method or by a paginator."""
    operations = _operations()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = node.func.attr
        if name == "get_paginator" and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
        if name in operations:
            yield name


@cache
def _operations() -> set[str]:
    session = botocore.session.get_session()
    return {
        xform_name(operation)
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }
