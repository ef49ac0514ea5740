"""One MWAA environment of the local AWS, by its APIs, with errors for people."""

import re
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.region import LocalRegion

_SETTLED: Final = ("AVAILABLE", "UPDATE_FAILED", "CREATE_FAILED", "UNAVAILABLE")
_SERVER_ERROR: Final = "RestApiServerException"
_SECONDS: Final = 600.0  # that an environment may take; the first one installs Airflow
_LEAST_LOOK: Final = 1.0


class AirflowSilentError(PipelineError):
    """Airflow gave no answer now; the next one may come."""


class LocalEnvironment:
    """An environment.

    Args:
        region: The local AWS.
        name: The environment's.
    """

    def __init__(self, region: LocalRegion, name: str) -> None:
        self.region = region
        self.name = name
        self._mwaa = region.client("mwaa")

    def described(self) -> Mapping[str, Any]:
        """What GetEnvironment says.

        Raises:
            PipelineError: There is no such environment.
        """
        try:
            return dict(self._mwaa.get_environment(Name=self.name)["Environment"])
        except ClientError as error:
            raise PipelineError(
                f"there is no Airflow yet: {_message(error)}",
                where=self.name,
                mend="`pipeline status` says how far its deployment is. Or: pipeline local up --airflow-only",
            ) from None
        except BotoCoreError as error:
            raise PipelineError(f"the local AWS does not answer: {error}", mend="Start it: make run") from None

    def url(self) -> str:
        """Where people find it.

        Raises:
            PipelineError: It never ran.
        """
        host = self.described().get("WebserverUrl")
        if not host:
            raise PipelineError(f"Airflow is {self.described()['Status']} and has no address yet", where=self.name)
        return f"http://{host}"

    def sign_in_url(self) -> str:
        """A link that signs a browser in, as MWAA's console makes it."""
        try:
            answer = self._mwaa.create_web_login_token(Name=self.name)
        except ClientError as error:
            raise PipelineError(
                f"Airflow does not answer: {_message(error)}", where=self.name, mend="pipeline local airflow logs"
            ) from None
        token = answer["WebToken"]
        return f"http://{answer['WebServerHostname']}/aws_mwaa/aws-console-sso?login=true#{token}"

    def rest(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call Airflow's REST API.

        Raises:
            AirflowSilentError: Airflow does not answer, or fails itself.
            PipelineError: Airflow refuses; says why in its words.
        """
        request: dict[str, Any] = {"Body": body} if body is not None else {}
        if query:
            request["QueryParameters"] = dict(query)
        try:
            answer = self._mwaa.invoke_rest_api(Name=self.name, Method=method, Path=path, **request)
        except ClientError as error:
            given: Mapping[str, Any] = dict(error.response)
            if "RestApiStatusCode" in given:
                detail = given.get("RestApiResponse", {})
                said = detail.get("detail", detail) if isinstance(detail, Mapping) else detail
                kind = AirflowSilentError if error.response["Error"]["Code"] == _SERVER_ERROR else PipelineError
                raise kind(f"{said}", where=f"{self.name}: {method} {path}") from None
            raise PipelineError(_message(error), where=self.name) from None
        return dict(answer.get("RestApiResponse") or {})

    def create(self, request: Mapping[str, Any]) -> None:
        """Make it, and wait until it is available.

        Raises:
            PipelineError: It is refused, or does not come up.
        """
        try:
            self._mwaa.create_environment(**request)
        except ClientError as error:
            raise PipelineError(_message(error), where=self.name) from None
        self.settle()

    def update(self, request: Mapping[str, Any]) -> None:
        """Change it, and wait until it is available.

        Raises:
            PipelineError: It is refused, or the update failed.
        """
        try:
            self._mwaa.update_environment(Name=self.name, **request)
        except ClientError as error:
            raise PipelineError(_message(error), where=self.name) from None
        self.settle()

    def settle(self) -> None:
        """Wait until it is available.

        Raises:
            PipelineError: It becomes something else, or nothing within ten minutes.
        """
        _wait(lambda: self.described()["Status"] in _SETTLED, f"{self.name} did not become available")
        found = self.described()
        if found["Status"] != "AVAILABLE":
            problem = found.get("LastUpdate", {}).get("Error", {}).get("ErrorMessage", "no reason is given")
            raise PipelineError(f"it is {found['Status']}: {problem}", where=self.name)

    def make_anew(self) -> None:
        """Delete it with its database, and create it again as it was described.

        Raises:
            PipelineError: It cannot be deleted now, or does not come up again.
        """
        request = self._creation(self.described())
        try:
            self._mwaa.delete_environment(Name=self.name)
        except ClientError as error:
            raise PipelineError(_message(error), where=self.name, mend="Wait for its update to end.") from None
        _wait(lambda: self.name not in self._mwaa.list_environments()["Environments"], f"{self.name} was not deleted")
        self.create(request)

    def _creation(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """The request that creates what is described."""
        members = self._mwaa.meta.service_model.operation_model("CreateEnvironment").input_shape.members
        request = {name: value for name, value in described.items() if name in members}
        request["LoggingConfiguration"] = {
            component: {key: value for key, value in module.items() if key in ("Enabled", "LogLevel")}
            for component, module in described.get("LoggingConfiguration", {}).items()
        }
        return request


def _wait(done: Callable[[], bool], otherwise: str) -> None:
    until = monotonic() + _SECONDS
    while not done():
        if monotonic() > until:
            raise PipelineError(f"{otherwise} within {_SECONDS:g} s", mend="pipeline local airflow logs")
        sleep(_LEAST_LOOK)


def _message(error: ClientError) -> str:
    return re.sub(r"^An error occurred \(\w+\) when calling the \w+ operation: ", "", str(error))
