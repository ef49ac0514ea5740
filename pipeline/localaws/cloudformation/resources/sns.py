"""AWS::SNS::Topic, AWS::SNS::Subscription and AWS::SNS::TopicPolicy."""

import json
from typing import Any

from pipeline.localaws.cloudformation.intrinsics import as_text
from pipeline.localaws.cloudformation.resources.provider import Provider, Request, TagChange, tag_map, unless_gone
from pipeline.localaws.cloudformation.template import Document

_GONE = "NotFound"
_TOPIC_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId", "FifoTopic", "ContentBasedDeduplication", "SignatureVersion")
_SUBSCRIPTION_ATTRIBUTES = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
)


class Topic(Provider):
    """A topic with the subscriptions written into it."""

    type = "AWS::SNS::Topic"
    implemented = frozenset({*_TOPIC_ATTRIBUTES, "Subscription", "Tags", "TopicName"})

    def create(self, request: Request) -> str:
        """Make it, then its subscriptions; `Ref` is its ARN."""
        wanted = request.properties
        sns = request.client("sns")
        suffix = ".fifo" if wanted.get("FifoTopic") else ""
        name = wanted.get("TopicName") or request.name(longest=250) + suffix
        tags = [{"Key": key, "Value": value} for key, value in tag_map(wanted).items()]
        arn = str(sns.create_topic(Name=name, Attributes=_given(wanted, _TOPIC_ATTRIBUTES), Tags=tags)["TopicArn"])
        request.note(arn)
        self._subscribe(sns, arn, wanted, {})
        return arn

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Attributes, subscriptions and tags."""
        wanted = request.properties
        sns = request.client("sns")
        _set(sns.set_topic_attributes, {"TopicArn": physical_id}, wanted, before, _TOPIC_ATTRIBUTES)
        self._subscribe(sns, physical_id, wanted, before)
        change = TagChange.between(before, wanted)
        if change.remove:
            sns.untag_resource(ResourceArn=physical_id, TagKeys=list(change.remove))
        if change.put:
            sns.tag_resource(ResourceArn=physical_id, Tags=change.as_list())

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it with its subscriptions."""
        with unless_gone(_GONE):
            request.client("sns").delete_topic(TopicArn=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its ARN and name."""
        return {"TopicArn": physical_id, "TopicName": physical_id.rpartition(":")[2]}

    def _subscribe(self, sns: Any, topic: str, wanted: Document, before: Document) -> None:
        old = {(item["Protocol"], item["Endpoint"]) for item in before.get("Subscription", [])}
        new = {(item["Protocol"], item["Endpoint"]) for item in wanted.get("Subscription", [])}
        for found in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] if old - new else ():
            if (found["Protocol"], found["Endpoint"]) in old - new:
                sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])
        for protocol, endpoint in sorted(new - old):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)


class Subscription(Provider):
    """A subscription of a topic."""

    type = "AWS::SNS::Subscription"
    implemented = frozenset({*_SUBSCRIPTION_ATTRIBUTES, "Endpoint", "Protocol", "TopicArn"})

    def create(self, request: Request) -> str:
        """Subscribe; `Ref` is its ARN."""
        wanted = request.properties
        subscribed = request.client("sns").subscribe(
            TopicArn=wanted["TopicArn"],
            Protocol=wanted["Protocol"],
            Endpoint=wanted.get("Endpoint", ""),
            Attributes=_given(wanted, _SUBSCRIPTION_ATTRIBUTES),
            ReturnSubscriptionArn=True,
        )
        return str(subscribed["SubscriptionArn"])

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Its attributes."""
        call = request.client("sns").set_subscription_attributes
        _set(call, {"SubscriptionArn": physical_id}, request.properties, before, _SUBSCRIPTION_ATTRIBUTES)

    def delete(self, request: Request, physical_id: str) -> None:
        """Unsubscribe."""
        with unless_gone(_GONE):
            request.client("sns").unsubscribe(SubscriptionArn=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - its id says it all
        """Its ARN."""
        return {"Arn": physical_id}


class TopicPolicy(Provider):
    """The policy of topics."""

    type = "AWS::SNS::TopicPolicy"
    implemented = frozenset({"PolicyDocument", "Topics"})

    def create(self, request: Request) -> str:
        """Put it on each topic."""
        physical_id = request.name()
        request.note(physical_id)
        self._put(request)
        return physical_id

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - SNS knows no id
        """Put it on each topic, take it from those no longer named."""
        self._put(request)
        self._take(request, [topic for topic in before["Topics"] if topic not in request.properties["Topics"]])

    def delete(self, request: Request, physical_id: str) -> None:  # noqa: ARG002 - SNS knows no id
        """Take it from each topic."""
        self._take(request, request.properties["Topics"])

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - all it has
        """Its id."""
        return {"Id": physical_id}

    def _put(self, request: Request) -> None:
        policy = json.dumps(request.properties["PolicyDocument"])
        for topic in request.properties["Topics"]:
            request.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)

    def _take(self, request: Request, topics: list[str]) -> None:
        """SNS has no way to delete a policy: the topic gets the one it was born with, its owner's."""
        for topic in topics:
            owner = {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes", "SNS:SetTopicAttributes"],
                "Resource": topic,
                "Condition": {"StringEquals": {"AWS:SourceOwner": request.place.account}},
            }
            document = json.dumps({"Version": "2008-10-17", "Statement": [owner]})
            with unless_gone(_GONE):
                request.client("sns").set_topic_attributes(
                    TopicArn=topic, AttributeName="Policy", AttributeValue=document
                )


def _given(wanted: Document, names: tuple[str, ...]) -> dict[str, str]:
    return {name: _text(wanted[name]) for name in names if name in wanted}


def _set(call: Any, target: dict[str, str], wanted: Document, before: Document, names: tuple[str, ...]) -> None:
    for name in names:
        if wanted.get(name) != before.get(name):
            call(**target, AttributeName=name, AttributeValue=_text(wanted.get(name, "")))


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else as_text(value)
