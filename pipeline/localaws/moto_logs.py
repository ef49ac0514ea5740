"""FilterLogEvents as CloudWatch Logs answers it: moto does not know `logStreamNamePrefix`, and takes every stream."""

import json
from typing import Any

from moto.logs.responses import LogsResponse

_filter_all = LogsResponse.filter_log_events


def install() -> None:
    """Let moto's FilterLogEvents take only the streams whose names begin with the prefix, which may be none."""
    LogsResponse.filter_log_events = _filter_log_events


def _filter_log_events(response: Any) -> Any:
    prefix = response._get_param("logStreamNamePrefix")  # noqa: SLF001 - how moto's own answers read a request
    group = response.logs_backend.groups.get(response._get_param("logGroupName"))  # noqa: SLF001 - likewise
    if not prefix or group is None:
        return _filter_all(response)
    names = [name for name in group.streams if name.startswith(prefix)]
    if not names:
        return json.dumps({"events": [], "searchedLogStreams": []})
    request = json.loads(response.body) | {"logStreamNames": names}
    response.body = json.dumps(request)
    return _filter_all(response)
