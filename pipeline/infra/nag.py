"""AWS's own rules over every template, and the one way to be excused from one: with a reason."""

from typing import Any

from aws_cdk import Acknowledgment, App, Stack, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct


def check(app: App) -> None:
    """Let synth fail where a resource breaks a rule of the AwsSolutions pack and is not excused."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def excuse(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept one finding at one construct.

    Args:
        construct: The smallest construct that shows it.
        rule: The finding's id as the report prints it, `AwsSolutions-IAM5[Resource::*]`.
        reason: Why it is right here.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def excuse_resource(construct: IConstruct, resource: str, reason: str) -> None:
    """Accept one wildcard resource in the policies of a role."""
    excuse(construct, f"AwsSolutions-IAM5[Resource::{_printed(Stack.of(construct).resolve(resource))}]", reason)


def _printed(value: Any) -> str:
    """A resolved value as cdk-nag prints it: references as `<LogicalId>`, attributes as `<LogicalId.Attribute>`."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(map(_printed, parts))
    if "Fn::GetAtt" in value:
        return f"<{'.'.join(value['Fn::GetAtt'])}>"
    return f"<{value.get('Ref') or value['Fn::ImportValue']}>"
