"""A bucket's lifecycle rules: CloudFormation's flat form as S3's nested one."""

from typing import Any

from pipeline.localaws.cloudformation.resources.provider import ResourceError
from pipeline.localaws.cloudformation.template import Document

_KNOWN = {
    "AbortIncompleteMultipartUpload",
    "ExpirationDate",
    "ExpirationInDays",
    "ExpiredObjectDeleteMarker",
    "Id",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionExpirationInDays",
    "NoncurrentVersionTransitions",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
    "Prefix",
    "Status",
    "TagFilters",
    "Transitions",
}


def lifecycle(configuration: Document) -> dict[str, Any]:
    """The property LifecycleConfiguration as S3's PutBucketLifecycleConfiguration takes it."""
    return {"Rules": [_rule(rule) for rule in configuration["Rules"]]}


def _rule(rule: Document) -> dict[str, Any]:
    unknown = sorted(set(rule) - _KNOWN)
    if unknown:
        raise ResourceError(f"the local AWS does not implement {', '.join(unknown)} of a lifecycle rule")
    found: dict[str, Any] = {"Status": rule["Status"], "Filter": _filter(rule)}
    if "Id" in rule:
        found["ID"] = rule["Id"]
    expiration = _renamed(
        rule,
        {
            "ExpirationInDays": "Days",
            "ExpirationDate": "Date",
            "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
        },
    )
    if expiration:
        found["Expiration"] = expiration
    if "NoncurrentVersionExpirationInDays" in rule:
        found["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(rule["NoncurrentVersionExpirationInDays"])}
    for name in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if name in rule:
            found[name] = dict(rule[name])
    if rule.get("Transitions"):
        names = {"TransitionInDays": "Days", "TransitionDate": "Date", "StorageClass": "StorageClass"}
        found["Transitions"] = [_renamed(transition, names) for transition in rule["Transitions"]]
    if rule.get("NoncurrentVersionTransitions"):
        names = {
            "TransitionInDays": "NoncurrentDays",
            "NewerNoncurrentVersions": "NewerNoncurrentVersions",
            "StorageClass": "StorageClass",
        }
        found["NoncurrentVersionTransitions"] = [
            _renamed(transition, names) for transition in rule["NoncurrentVersionTransitions"]
        ]
    return found


def _filter(rule: Document) -> dict[str, Any]:
    """S3 takes one condition bare, several below And, none as an empty prefix."""
    conditions = _renamed(rule, {name: name for name in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")})
    tags = list(rule.get("TagFilters", []))
    if not conditions and not tags:
        return {"Prefix": ""}
    if len(conditions) + len(tags) == 1:
        return conditions or {"Tag": tags[0]}
    return {"And": {**conditions, **({"Tags": tags} if tags else {})}}


def _renamed(values: Document, names: dict[str, str]) -> dict[str, Any]:
    return {new: values[old] for old, new in names.items() if old in values}
