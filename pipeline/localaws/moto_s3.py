"""Where moto's S3 judges bucket policies otherwise than S3 does.

Conditions: moto knows none, and reads `Deny unless TLS`, which every careful bucket has, as `Deny`. Here loopback
stands for TLS. Statements with any condition are left out of the judgement, as they cannot be judged.

Logging: S3 accepts a target bucket whose policy does not admit the logging service (yet); moto refuses it. Templates
set a bucket's policy after the buckets that log to it.
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def install() -> None:
    """Let moto's buckets judge as said above."""
    FakeBucket.get_permission = _permission
    FakeBucket._log_permissions_enabled_policy = staticmethod(lambda **_: True)  # noqa: SLF001 - moto has no other place for it


def _permission(bucket: Any, action: str, resource: str) -> Any:
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(bucket.policy)
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    kept = [statement for statement in statements if not statement.get("Condition")]
    if not kept:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": kept})).is_action_permitted(action, resource)
