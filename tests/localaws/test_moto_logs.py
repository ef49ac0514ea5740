"""What CloudWatch Logs answers beyond moto."""

from time import time

import pytest
from botocore.exceptions import ClientError

from tests.localaws.conftest import Serve


@pytest.mark.parametrize(("prefix", "expected"), [("a/", ["one", "two"]), ("b", ["three"]), ("c", []), ("", None)])
def test_only_streams_whose_names_begin_with_the_prefix_are_searched(
    serve: Serve, prefix: str, expected: list[str] | None
) -> None:
    logs = serve().client("logs")
    group = f"of-{prefix or 'all'}"
    logs.create_log_group(logGroupName=group)
    now = int(time() * 1000)
    for at, (stream, message) in enumerate([("a/1", "one"), ("a/2", "two"), ("b", "three")]):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": now + at, "message": message}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    asked = {"logStreamNamePrefix": prefix} if prefix else {}
    found = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **asked)
    messages = [event["message"] for page in found for event in page["events"]]
    assert messages == (["one", "two", "three"] if expected is None else expected)


def test_a_group_that_is_not_there_is_an_error_with_a_prefix_too(serve: Serve) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        serve().client("logs").filter_log_events(logGroupName="none", logStreamNamePrefix="a")
