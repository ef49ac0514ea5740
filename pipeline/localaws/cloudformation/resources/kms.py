"""AWS::KMS::Key and AWS::KMS::Alias."""

import json
from typing import Any

from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, tag_map, unless_gone
from pipeline.localaws.cloudformation.template import Document

_PENDING_DAYS = 30  # KMS's default time between asking for a key's deletion and the deletion


class Key(Provider):
    """A key; deleting it schedules its deletion."""

    type = "AWS::KMS::Key"
    implemented = frozenset(
        {
            "Description",
            "EnableKeyRotation",
            "Enabled",
            "KeyPolicy",
            "KeySpec",
            "KeyUsage",
            "MultiRegion",
            "PendingWindowInDays",
            "RotationPeriodInDays",
            "Tags",
        }
    )
    replaced_by = (("KeySpec",), ("KeyUsage",), ("MultiRegion",))

    def create(self, request: Request) -> str:
        """Make the key, then its rotation and state."""
        wanted = request.properties
        kms = request.client("kms")
        given: dict[str, Any] = {
            name: wanted[name] for name in ("Description", "KeySpec", "KeyUsage", "MultiRegion") if name in wanted
        }
        if "KeyPolicy" in wanted:
            given["Policy"] = _text(wanted["KeyPolicy"])
        tags = [{"TagKey": key, "TagValue": value} for key, value in tag_map(wanted).items()]
        key = str(kms.create_key(**given, Tags=tags)["KeyMetadata"]["KeyId"])
        request.note(key)
        self._switch(kms, key, wanted, {})
        return key

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Policy, description, rotation, state and tags."""
        wanted = request.properties
        kms = request.client("kms")
        if "KeyPolicy" in wanted and wanted["KeyPolicy"] != before.get("KeyPolicy"):
            kms.put_key_policy(KeyId=physical_id, PolicyName="default", Policy=_text(wanted["KeyPolicy"]))
        if wanted.get("Description") != before.get("Description"):
            kms.update_key_description(KeyId=physical_id, Description=wanted.get("Description", ""))
        self._switch(kms, physical_id, wanted, before)
        change = TagChange.between(before, wanted)
        if change.remove:
            kms.untag_resource(KeyId=physical_id, TagKeys=list(change.remove))
        if change.put:
            kms.tag_resource(KeyId=physical_id, Tags=change.as_list("TagKey", "TagValue"))

    def delete(self, request: Request, physical_id: str) -> None:
        """Schedule it, after the days the template says."""
        days = int(request.properties.get("PendingWindowInDays", _PENDING_DAYS))
        with unless_gone("NotFoundException", "KMSInvalidStateException"):
            request.client("kms").schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=days)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN and id."""
        return {"Arn": request.place.arn("kms", f"key/{physical_id}"), "KeyId": physical_id}

    def _switch(self, kms: Any, key: str, wanted: Document, before: Document) -> None:
        rotation = ("EnableKeyRotation", "RotationPeriodInDays")
        if any(wanted.get(name) != before.get(name) for name in rotation):
            if wanted.get("EnableKeyRotation"):
                period = wanted.get("RotationPeriodInDays")
                kms.enable_key_rotation(KeyId=key, **({"RotationPeriodInDays": period} if period else {}))
            elif before.get("EnableKeyRotation"):
                kms.disable_key_rotation(KeyId=key)
        if wanted.get("Enabled", True) != before.get("Enabled", True):
            (kms.enable_key if wanted.get("Enabled", True) else kms.disable_key)(KeyId=key)


class Alias(Provider):
    """Another name of a key."""

    type = "AWS::KMS::Alias"
    implemented = frozenset({"AliasName", "TargetKeyId"})

    def create(self, request: Request) -> str:
        """Make it."""
        name = str(request.properties["AliasName"])
        request.client("kms").create_alias(AliasName=name, TargetKeyId=request.properties["TargetKeyId"])
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - one property only
        """Let it point at another key."""
        request.client("kms").update_alias(AliasName=physical_id, TargetKeyId=request.properties["TargetKeyId"])

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete the name, not the key."""
        with unless_gone("NotFoundException"):
            request.client("kms").delete_alias(AliasName=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - it has none
        """None."""
        return {}


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)
