"""EventBridge's delivery: what the services of the local AWS report reaches the rules, and the rules their targets.

moto keeps the rules; it does not know a pipeline as a target, nor that a push is an event.
"""

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.events.models import EventPattern

from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventBus:
    """The default event bus."""

    region: LocalRegion

    def emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
        """Deliver an event to the targets of every enabled rule that matches it.

        A target that fails is logged: as on AWS, who raised the event does not learn of it.
        """
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self.region.account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self.region.region,
            "resources": list(resources),
            "detail": dict(detail),
        }
        events = self.region.client("events")
        for page in events.get_paginator("list_rules").paginate():
            for rule in page["Rules"]:
                if matches(rule, event):
                    for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                        self._deliver(rule["Name"], target, event)

    def _deliver(self, rule: str, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        arn: str = target["Arn"]
        service = arn.split(":")[2]
        try:
            if service == "codepipeline":
                self.region.client("codepipeline").start_pipeline_execution(name=arn.rpartition(":")[2])
            elif service == "sns":
                self.region.client("sns").publish(TopicArn=arn, Message=json.dumps(event))
            else:
                log.error("rule %s: the local AWS does not deliver events to %s", rule, arn)
        except Exception:
            log.exception("rule %s: %s was not reached", rule, arn)


def matches(rule: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an enabled rule's pattern matches an event (EventBridge user guide, event patterns)."""
    if rule.get("State") != "ENABLED" or not rule.get("EventPattern"):
        return False
    return bool(EventPattern.load(rule["EventPattern"]).matches_event(event))
