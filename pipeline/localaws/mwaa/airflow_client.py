"""Airflow's REST API as MWAA speaks it: with a token of its own, on loopback."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, urlencode

_API: Final = "/api/v2"
SECONDS: Final = 10.0  # for one request (MWAA user guide, access-mwaa-apache-airflow-rest-api)
_WARMING: Final = 120.0
_COMPONENTS: Final = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_UNAUTHORIZED: Final = 401


class AirflowSilentError(Exception):
    """Airflow does not answer."""


@dataclass(frozen=True)
class Answer:
    """An answer of Airflow's; `document` is its JSON, or its text where it is none."""

    status: int
    document: Any


def sick(health: Mapping[str, Any], since: datetime) -> tuple[str, ...]:
    """The components that are not proven healthy, each with its state.

    A kept database remembers the heartbeats of the Airflow before: one from before `since` proves nothing.

    Args:
        health: Airflow's own /monitor/health.
        since: When this Airflow was started.
    """
    found = []
    for name in _COMPONENTS:
        component = health.get(name) or {}
        beat = component.get(f"latest_{name}_heartbeat")
        stale = name != "metadatabase" and (not beat or datetime.fromisoformat(str(beat)) < since)
        if component.get("status") != "healthy" or stale:
            found.append(f"{name}: {'starting' if stale else component.get('status')}")
    return tuple(found)


class AirflowClient:
    """A client of the Airflow on a loopback port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._token = ""
        self._lock = Lock()

    def health(self) -> Mapping[str, Any]:
        """What Airflow says of its own components.

        Raises:
            AirflowSilentError: It does not answer.
        """
        answer = self._request("GET", f"{_API}/monitor/health", None, {})
        return answer.document if isinstance(answer.document, dict) else {}

    def warm_up(self) -> None:
        """Let the API server build the interface that tasks use.

        It does so with the first request, for seconds in which it answers nobody: a task's first sign of life then
        fails, and so does whoever asks the REST API meanwhile (cadwyn, `_cadwyn_initialize`).

        Raises:
            AirflowSilentError: It does not answer.
        """
        self._request("GET", "/execution/health", None, {}, _WARMING)

    def call(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Answer:
        """Call the REST API; `path` is below /api/v2.

        Raises:
            AirflowSilentError: There is no answer within `SECONDS`.
        """
        target = f"{_API}/{quote(path.lstrip('/'), safe='/~:@!$&()*+,;=%-._')}"
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        answer = self._request(method, target, body, {"Authorization": f"Bearer {self.token()}"})
        if answer.status == _UNAUTHORIZED:  # it expired
            answer = self._request(method, target, body, {"Authorization": f"Bearer {self.token(new=True)}"})
        return answer

    def token(self, *, new: bool = False) -> str:
        """A token of an administrator.

        Raises:
            AirflowSilentError: Airflow does not answer with one.
        """
        with self._lock:
            if new or not self._token:
                answer = self._request("GET", "/auth/token", None, {})
                if not isinstance(answer.document, dict) or "access_token" not in answer.document:
                    raise AirflowSilentError(f"Airflow gives no token: {answer.status} {answer.document}")
                self._token = str(answer.document["access_token"])
            return self._token

    def _request(
        self, method: str, target: str, body: Any, headers: Mapping[str, str], seconds: float = SECONDS
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=seconds)
        content = None if body is None else json.dumps(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, target, content, {"Accept": "application/json", **kind, **headers})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise AirflowSilentError(f"Airflow does not answer on port {self._port}: {error}") from None
        finally:
            connection.close()
        try:
            return Answer(response.status, json.loads(text) if text else {})
        except json.JSONDecodeError:
            return Answer(response.status, text)
