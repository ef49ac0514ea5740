"""AWS::Logs::LogGroup."""

from typing import Any

from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, tag_map, unless_gone
from pipeline.localaws.cloudformation.template import Document


class LogGroup(Provider):
    """A log group."""

    type = "AWS::Logs::LogGroup"
    implemented = frozenset({"KmsKeyId", "LogGroupClass", "LogGroupName", "RetentionInDays", "Tags"})

    def create(self, request: Request) -> str:
        """Make it, then its retention."""
        wanted = request.properties
        logs = request.client("logs")
        name = str(wanted.get("LogGroupName") or request.name())
        given: dict[str, Any] = {"kmsKeyId": wanted.get("KmsKeyId"), "logGroupClass": wanted.get("LogGroupClass")}
        tags = tag_map(wanted)
        if tags:
            given["tags"] = tags
        logs.create_log_group(logGroupName=name, **{key: value for key, value in given.items() if value})
        request.note(name)
        self._retain(logs, name, wanted)
        return name

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Retention, key and tags."""
        wanted = request.properties
        logs = request.client("logs")
        self._retain(logs, physical_id, wanted)
        if wanted.get("KmsKeyId") != before.get("KmsKeyId"):
            if wanted.get("KmsKeyId"):
                logs.associate_kms_key(logGroupName=physical_id, kmsKeyId=wanted["KmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=physical_id)
        change = TagChange.between(before, wanted)
        arn = request.place.arn("logs", f"log-group:{physical_id}")
        if change.remove:
            logs.untag_resource(resourceArn=arn, tagKeys=list(change.remove))
        if change.put:
            logs.tag_resource(resourceArn=arn, tags=dict(change.put))

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it and all its streams."""
        with unless_gone("ResourceNotFoundException"):
            request.client("logs").delete_log_group(logGroupName=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """Its ARN, which for CloudFormation ends in the streams' wildcard."""
        return {"Arn": request.place.arn("logs", f"log-group:{physical_id}:*")}

    def _retain(self, logs: Any, name: str, wanted: Document) -> None:
        if "RetentionInDays" in wanted:
            logs.put_retention_policy(logGroupName=name, retentionInDays=int(wanted["RetentionInDays"]))
        else:
            logs.delete_retention_policy(logGroupName=name)
