"""The running Airflow's REST API: the port, and MWAA's InvokeRestApi as adapter."""

from collections.abc import Callable, Iterator, Mapping
from time import sleep
from typing import TYPE_CHECKING, Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import boto3

LONGEST_PATH = 64  # characters of InvokeRestApi's Path (API model)
_AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_PAGE = 100  # Airflow's default maximum_page_limit


class AirflowUnreachableError(PipelineError):
    """Nothing is known about the running Airflow: neither that it is fine nor that it is not.

    Attributes:
        is_busy: Whether the same question may well be answered later: the network failed, not the right to ask.
    """

    is_busy = False


class AirflowAnswerError(PipelineError):
    """Airflow answered with an HTTP error.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, detail: str, *, where: str) -> None:
        super().__init__(f"Airflow answers {status}: {detail}", where=where)
        self.status = status

    @property
    def is_busy(self) -> bool:
        """Whether the same question may well be answered later."""
        return self.status == _TOO_MANY_REQUESTS or self.status >= _SERVER_ERROR


class Airflow(Protocol):
    """Airflow's REST API, version 2 (Airflow 3)."""

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The JSON document at a path below `/api/v2`.

        Raises:
            AirflowUnreachableError: There was no answer of Airflow's.
            AirflowAnswerError: The answer is an error.
        """

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for something to be made. Raises as `get`."""


class MwaaAirflow:
    """Airflow's REST API through MWAA, with AWS credentials. MWAA puts `/api/v2` before the path."""

    def __init__(self, session: "boto3.Session", environment: str, *, pause: Callable[[float], None] = sleep) -> None:
        self._name = environment
        self._pause = pause
        self._mwaa = session.client("mwaa")

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The JSON document at a path; see `Airflow`.

        Whoever is busy is asked again: a web server that restarts because its workers were replaced, or MWAA itself,
        which takes 10 requests a second.
        """
        for seconds in _AGAIN_AFTER:
            try:
                return self._ask("GET", path, QueryParameters=dict(query or {}))
            except AirflowAnswerError as error:
                if not error.is_busy:
                    raise
                self._pause(seconds)
        return self._ask("GET", path, QueryParameters=dict(query or {}))

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for something to be made; see `Airflow`."""
        return self._ask("POST", path, Body=dict(body))

    def _ask(self, method: Literal["GET", "POST"], path: str, **more: Any) -> Mapping[str, Any]:
        where = f"{self._name}: {method} {path}"
        try:
            answer = self._mwaa.invoke_rest_api(Name=self._name, Path=path, Method=method, **more)
        except ClientError as error:
            given: Mapping[str, Any] = dict(error.response)
            status = int(given.get("RestApiStatusCode", 0)) or _status_of_mwaa(error)
            answered = AirflowAnswerError(status, str(given.get("RestApiResponse") or error), where=where)
            if "RestApiStatusCode" in given or answered.is_busy:
                raise answered from None
            raise _unreachable(error, where) from None
        except BotoCoreError as error:
            raise _unreachable(error, where) from None
        document = answer.get("RestApiResponse", {})
        if not isinstance(document, Mapping):
            raise AirflowAnswerError(int(answer.get("RestApiStatusCode", 0)), f"no JSON: {document!r}", where=where)
        return document


def _status_of_mwaa(error: ClientError) -> int:
    """The HTTP status of an error of MWAA's own. Some throttling is told with 400."""
    if any(word in error.response.get("Error", {}).get("Code", "") for word in ("Throttling", "TooManyRequests")):
        return _TOO_MANY_REQUESTS
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _unreachable(error: Exception, where: str) -> AirflowUnreachableError:
    made = AirflowUnreachableError(
        f"the running Airflow cannot be asked: {error}",
        where=where,
        mend="Is the environment AVAILABLE, and does the release role have airflow:InvokeRestApi? "
        "--no-verify releases without asking Airflow, and the release then says so.",
    )
    made.is_busy = isinstance(error, NoConnectionError | HTTPClientError)
    return made


def pages(airflow: Airflow, path: str, member: str, **query: str) -> Iterator[Mapping[str, Any]]:
    """Every item of a collection that fits a query, page by page."""
    seen = 0
    while True:
        document = airflow.get(path, {**query, "limit": _PAGE, "offset": seen})
        items = document.get(member, [])
        yield from items
        seen += len(items)
        if not items or seen >= int(document.get("total_entries", 0)):
            return
