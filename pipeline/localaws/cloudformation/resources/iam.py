"""AWS::IAM::Role, AWS::IAM::Policy and AWS::IAM::ManagedPolicy."""

import json
from collections.abc import Iterable
from typing import Any

from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, tag_map, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "NoSuchEntity"
_HOUR = 3600  # seconds: a role's MaxSessionDuration when none is given
_MOST_VERSIONS = 5  # of a managed policy; IAM refuses a sixth

# The principals a policy can be given to: property → the words IAM's operations use.
_PRINCIPALS = {"Roles": "role", "Users": "user", "Groups": "group"}


class Role(Provider):
    """A role with its inline and managed policies."""

    type = "AWS::IAM::Role"
    implemented = frozenset(
        {
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        }
    )

    def create(self, request: Request) -> str:
        """Make the role, then give it its policies."""
        wanted = request.properties
        iam = request.client("iam")
        name = str(wanted.get("RoleName") or request.name(longest=64))
        copied = ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=_text(wanted["AssumeRolePolicyDocument"]),
            Tags=[{"Key": key, "Value": value} for key, value in tag_map(wanted).items()],
            **{key: wanted[key] for key in copied if key in wanted},
        )
        request.note(name)
        self._give(iam, name, wanted, {})
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Everything but its name and path."""
        wanted = request.properties
        iam = request.client("iam")
        if wanted["AssumeRolePolicyDocument"] != before.get("AssumeRolePolicyDocument"):
            iam.update_assume_role_policy(
                RoleName=physical_id, PolicyDocument=_text(wanted["AssumeRolePolicyDocument"])
            )
        iam.update_role(
            RoleName=physical_id,
            Description=wanted.get("Description", ""),
            MaxSessionDuration=int(wanted.get("MaxSessionDuration", _HOUR)),
        )
        boundary = wanted.get("PermissionsBoundary")
        if boundary != before.get("PermissionsBoundary"):
            if boundary:
                iam.put_role_permissions_boundary(RoleName=physical_id, PermissionsBoundary=boundary)
            else:
                iam.delete_role_permissions_boundary(RoleName=physical_id)
        self._give(iam, physical_id, wanted, before)
        change = TagChange.between(before, wanted)
        if change.remove:
            iam.untag_role(RoleName=physical_id, TagKeys=list(change.remove))
        if change.put:
            iam.tag_role(RoleName=physical_id, Tags=change.as_list())

    def delete(self, request: Request, physical_id: str) -> None:
        """Take what the template gave, then the role; what others attached keeps it alive, as on AWS."""
        iam = request.client("iam")
        with unless_gone(_GONE):
            self._give(iam, physical_id, {}, request.properties)
            iam.delete_role(RoleName=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN and id."""
        role = request.client("iam").get_role(RoleName=physical_id)["Role"]
        return {"Arn": role["Arn"], "RoleId": role["RoleId"]}

    def _give(self, iam: Any, role: str, wanted: Document, before: Document) -> None:
        old, new = list(before.get("ManagedPolicyArns", [])), list(wanted.get("ManagedPolicyArns", []))
        for arn in [arn for arn in old if arn not in new]:
            with unless_gone(_GONE):
                iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        for arn in [arn for arn in new if arn not in old]:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in wanted.get("Policies", [])}
        for policy in before.get("Policies", []):
            if policy["PolicyName"] not in inline:
                with unless_gone(_GONE):
                    iam.delete_role_policy(RoleName=role, PolicyName=policy["PolicyName"])
        for name, document in inline.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=_text(document))


class Policy(Provider):
    """A policy written into roles, users and groups."""

    type = "AWS::IAM::Policy"
    implemented = frozenset({"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"})

    def create(self, request: Request) -> str:
        """Write it into each principal."""
        physical_id = request.name(longest=64)
        request.note(physical_id)
        self._put(request.client("iam"), request.properties)
        return physical_id

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - IAM knows no id
        """Write it where it is wanted, delete it where it no longer is."""
        wanted = request.properties
        iam = request.client("iam")
        self._put(iam, wanted)
        renamed = wanted["PolicyName"] != before["PolicyName"]
        for principals in _PRINCIPALS:
            gone = [name for name in before.get(principals, []) if renamed or name not in wanted.get(principals, [])]
            self._take(iam, before["PolicyName"], principals, gone)

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - IAM knows no id
        """Delete it from each principal."""
        for principals in _PRINCIPALS:
            names = request.properties.get(principals, [])
            self._take(request.client("iam"), request.properties["PolicyName"], principals, names)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - all it has
        """Its id."""
        return {"Id": physical_id}

    def _put(self, iam: Any, wanted: Document) -> None:
        for principals, word in _PRINCIPALS.items():
            for name in wanted.get(principals, []):
                getattr(iam, f"put_{word}_policy")(
                    **{f"{word.capitalize()}Name": name},
                    PolicyName=wanted["PolicyName"],
                    PolicyDocument=_text(wanted["PolicyDocument"]),
                )

    def _take(self, iam: Any, policy: str, principals: str, names: Iterable[str]) -> None:
        word = _PRINCIPALS[principals]
        for name in names:
            with unless_gone(_GONE):
                getattr(iam, f"delete_{word}_policy")(**{f"{word.capitalize()}Name": name}, PolicyName=policy)


class ManagedPolicy(Provider):
    """A policy of its own, attached to roles, users and groups."""

    type = "AWS::IAM::ManagedPolicy"
    implemented = frozenset({"Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"})

    def create(self, request: Request) -> str:
        """Make it and attach it."""
        wanted = request.properties
        iam = request.client("iam")
        arn = str(
            iam.create_policy(
                PolicyName=wanted.get("ManagedPolicyName") or request.name(longest=128),
                PolicyDocument=_text(wanted["PolicyDocument"]),
                **{key: wanted[key] for key in ("Path", "Description") if key in wanted},
            )["Policy"]["Arn"]
        )
        request.note(arn)
        self._attach(iam, arn, wanted, {})
        return arn

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """A new default version, and the attachments."""
        wanted = request.properties
        iam = request.client("iam")
        if wanted["PolicyDocument"] != before.get("PolicyDocument"):
            versions = iam.list_policy_versions(PolicyArn=physical_id)["Versions"]
            if len(versions) >= _MOST_VERSIONS:
                oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
                iam.delete_policy_version(PolicyArn=physical_id, VersionId=oldest["VersionId"])
            iam.create_policy_version(
                PolicyArn=physical_id, PolicyDocument=_text(wanted["PolicyDocument"]), SetAsDefault=True
            )
        self._attach(iam, physical_id, wanted, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Detach it, delete its versions and itself."""
        iam = request.client("iam")
        with unless_gone(_GONE):
            self._attach(iam, physical_id, {}, request.properties)
            for version in iam.list_policy_versions(PolicyArn=physical_id)["Versions"]:
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=physical_id, VersionId=version["VersionId"])
            iam.delete_policy(PolicyArn=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN and id."""
        policy = request.client("iam").get_policy(PolicyArn=physical_id)["Policy"]
        return {
            "PolicyArn": physical_id,
            "PolicyId": policy["PolicyId"],
            "DefaultVersionId": policy["DefaultVersionId"],
        }

    def _attach(self, iam: Any, arn: str, wanted: Document, before: Document) -> None:
        for principals, word in _PRINCIPALS.items():
            old, new = before.get(principals, []), wanted.get(principals, [])
            for name in [name for name in old if name not in new]:
                with unless_gone(_GONE):
                    getattr(iam, f"detach_{word}_policy")(**{f"{word.capitalize()}Name": name}, PolicyArn=arn)
            for name in [name for name in new if name not in old]:
                getattr(iam, f"attach_{word}_policy")(**{f"{word.capitalize()}Name": name}, PolicyArn=arn)


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)
