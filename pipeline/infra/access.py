"""Who may do what: roles of ours hold exactly the rights written here.

CDK's own grants speak in families (`s3:GetObject*`, `kms:ReEncrypt*`); roles that CDK is given are therefore closed to
it, and get single actions from here. A wildcard in a resource needs its reason beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from pipeline.infra.nag import excuse_resource


@dataclass(frozen=True)
class Right:
    """Leave to do some things to some resources.

    Attributes:
        actions: Single actions.
        resources: ARNs.
        conditions: In IAM's own words.
        why_so_wide: The reason of every wildcard in `resources`; without one there may be none.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    why_so_wide: str = ""

    def statement(self) -> iam.PolicyStatement:
        """The right in IAM's words."""
        for action in self.actions:
            if "*" in action:
                raise ValueError(f"{action} is a family of actions: name those that are meant")
        return iam.PolicyStatement(
            actions=list(self.actions), resources=list(self.resources), conditions=dict(self.conditions)
        )


def role(
    scope: Construct,
    name: str,
    rights: Sequence[Right],
    *,
    trusted: iam.IPrincipal,
    description: str,
    role_name: str | None = None,
    path: str | None = None,
) -> iam.Role:
    """A role with these rights."""
    made = iam.Role(scope, name, role_name=role_name, path=path, assumed_by=trusted, description=description)
    grant(made, rights)
    return made


def grant(role: iam.Role, rights: Sequence[Right]) -> None:
    """Add rights to a role; every wildcard is excused with its reason."""
    for right in rights:
        role.add_to_policy(right.statement())
    explain(role, rights)


def explain(construct: IConstruct, rights: Sequence[Right]) -> None:
    """Give cdk-nag the reason of every wildcard resource below a construct."""
    for right in rights:
        for resource in right.resources:
            if "*" not in resource:
                continue
            if not right.why_so_wide:
                raise ValueError(f"{resource} has a wildcard without a reason")
            excuse_resource(construct, resource, right.why_so_wide)


def service(name: str, **source: str) -> iam.IPrincipal:
    """An AWS service as the one who takes a role, on behalf of the source that is named and no other.

    Args:
        name: The service, `codebuild`.
        source: `SourceArn` or `SourceAccount`, and its value.
    """
    conditions = {
        "ArnLike" if key == "SourceArn" else "StringEquals": {f"aws:{key}": value} for key, value in source.items()
    }
    return iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=conditions)
