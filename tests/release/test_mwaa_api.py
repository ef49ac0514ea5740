"""The adapters of MWAA against a server that knows botocore's own model of the API."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.localaws.service import Call, Document, Service, ServiceError
from pipeline.release.airflow import AirflowAnswerError, AirflowUnreachableError, MwaaAirflow, pages
from pipeline.release.mwaa import MwaaEnvironment, update
from tests.localaws.conftest import free_port


class Mwaa(Service):
    """One environment, which updates at once."""

    name = "mwaa"
    signing_name = "airflow"

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self.environment: dict[str, Any] = {"Name": "etl-dev", "Status": "AVAILABLE"}
        self.updates: list[Document] = []
        self.asked: list[Document] = []

    def get_environment(self, request: Document, call: Call) -> Document:  # noqa: ARG002 - a service's signature
        if request["Name"] != "etl-dev":
            raise ServiceError("ResourceNotFoundException", "no such environment")
        return {"Environment": self.environment}

    def update_environment(self, request: Document, _: Call) -> Document:
        self.updates.append(request)
        self.environment |= {key: value for key, value in request.items() if "S3" in key}
        self.environment["LastUpdate"] = {"Status": "SUCCESS"}
        return {"Arn": "arn:aws:airflow:eu-west-1:123456789012:environment/etl-dev"}

    def invoke_rest_api(self, request: Document, _: Call) -> Document:
        self.asked.append(request)
        if request["Path"] == "/importErrors":
            raise ServiceError("AccessDeniedException", "not you")
        return {"RestApiStatusCode": 200, "RestApiResponse": {"dags": [{"dag_id": "a"}], "total_entries": 1}}


@pytest.fixture
def mwaa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mwaa]:
    port = free_port()
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", tmp_path)
    service = Mwaa(region)
    server = Server(LocalAws(region, [service]), port)
    server.start()
    for name, value in region.environment().items():
        monkeypatch.setenv(name, value)
    yield service
    server.stop()


def test_the_pinned_versions_are_changed_by_update_environment(mwaa: Mwaa) -> None:
    environment = MwaaEnvironment(boto3.Session(), "etl-dev")
    versions: dict[Any, str] = {"requirements": "v1", "plugins": "v2", "startup": "v3"}
    update(
        environment,
        versions,
        "GRACEFUL",
        renew=lambda: None,
        alive=lambda: None,
        tell=lambda _: None,
        pause=lambda _: None,
    )
    assert mwaa.updates == [
        {
            "Name": "etl-dev",
            "WorkerReplacementStrategy": "GRACEFUL",
            "RequirementsS3Path": "requirements.txt",
            "RequirementsS3ObjectVersion": "v1",
            "PluginsS3Path": "plugins.zip",
            "PluginsS3ObjectVersion": "v2",
            "StartupScriptS3Path": "startup.sh",
            "StartupScriptS3ObjectVersion": "v3",
        }
    ]
    assert environment.state().pinned == versions


def test_the_reason_of_a_failed_update_is_read(mwaa: Mwaa) -> None:
    mwaa.environment |= {
        "Status": "UPDATE_FAILED",
        "LastUpdate": {"Status": "FAILED", "Error": {"ErrorCode": "INCORRECT", "ErrorMessage": "no such version"}},
    }
    state = MwaaEnvironment(boto3.Session(), "etl-dev").state()
    assert (state.status, state.update, state.error) == ("UPDATE_FAILED", "FAILED", "INCORRECT: no such version")


def test_an_environment_that_is_not_there_is_named(mwaa: Mwaa) -> None:
    assert mwaa.updates == []
    with pytest.raises(PipelineError, match="no such environment") as error:
        MwaaEnvironment(boto3.Session(), "other").state()
    assert error.value.where == "other"


def test_pip_s_log_is_read_from_every_component_since_the_update(mwaa: Mwaa) -> None:
    assert mwaa.updates == []
    logs = boto3.client("logs")
    since = datetime.now(UTC) - timedelta(minutes=10)  # what is older than 14 days CloudWatch refuses
    for component in ("Scheduler", "Worker", "WebServer"):
        group = f"airflow-etl-dev-{component}"
        logs.create_log_group(logGroupName=group)
        for stream, after, message in (
            ("requirements_install_ip-10-0-0-1", 1, f"pip in {component}"),
            ("requirements_install_ip-10-0-0-2", -1, "an earlier update"),
            ("scheduler_ip-10-0-0-1", 1, "something else"),
        ):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            at = int((since + timedelta(minutes=after)).timestamp() * 1000)
            events = [{"timestamp": at, "message": message}]
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)  # type: ignore[arg-type]
    found = MwaaEnvironment(boto3.Session(), "etl-dev").requirements_log(since)
    assert found == ["pip in Scheduler", "pip in Worker", "pip in WebServer"]
    with pytest.raises(PipelineError, match="the pip log cannot be read") as error:
        MwaaEnvironment(boto3.Session(), "without-logs").requirements_log(since)
    assert error.value.where == "airflow-without-logs-Scheduler"


def test_airflow_is_asked_through_mwaa(mwaa: Mwaa) -> None:
    found = list(pages(MwaaAirflow(boto3.Session(), "etl-dev"), "/dags", "dags"))
    assert found == [{"dag_id": "a"}]
    (asked,) = mwaa.asked
    assert (asked["Path"], asked["Method"], asked["QueryParameters"]) == ("/dags", "GET", {"limit": 100, "offset": 0})


def test_no_answer_of_airflow_is_not_taken_for_one(mwaa: Mwaa) -> None:
    assert mwaa.asked == []
    with pytest.raises(AirflowUnreachableError, match="cannot be asked") as error:
        MwaaAirflow(boto3.Session(), "etl-dev").get("/importErrors")
    assert not error.value.is_busy


def test_an_error_of_airflow_s_is_told_apart() -> None:
    session = Answering({"Error": {"Code": "RestApiClientException"}, "RestApiStatusCode": 404, "RestApiResponse": {}})
    with pytest.raises(AirflowAnswerError, match="404") as error:
        MwaaAirflow(session, "etl-dev").get("/dagSources/x")  # type: ignore[arg-type]
    assert error.value.status == 404


@pytest.mark.parametrize(("failures", "answered"), [(1, True), (5, True), (6, False)])
def test_an_airflow_that_is_busy_is_asked_again(failures: int, answered: bool) -> None:
    busy = Answering({"Error": {"Code": "RestApiServerException"}, "RestApiStatusCode": 502}, failures)
    pauses: list[float] = []
    airflow = MwaaAirflow(busy, "etl-dev", pause=pauses.append)  # type: ignore[arg-type]
    if answered:
        assert airflow.get("/dags") == {"dags": []}
        assert len(pauses) == failures
    else:
        with pytest.raises(AirflowAnswerError, match="502"):
            airflow.get("/dags")


@pytest.mark.parametrize(
    "response",
    [
        {"Error": {"Code": "RestApiClientException"}, "RestApiStatusCode": 429},
        {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}},
        {"Error": {"Code": "InternalServerException"}, "ResponseMetadata": {"HTTPStatusCode": 500}},
    ],
)
def test_who_is_asked_too_often_is_not_out_of_reach(response: dict[str, Any]) -> None:
    pauses: list[float] = []
    airflow = MwaaAirflow(Answering(response, 2), "etl-dev", pause=pauses.append)  # type: ignore[arg-type]
    assert airflow.get("/dagSources/a") == {"dags": []}
    assert pauses == [1.0, 2.0]
    with pytest.raises(AirflowAnswerError) as error:
        MwaaAirflow(Answering(response, 9), "etl-dev", pause=pauses.append).get("/dags")  # type: ignore[arg-type]
    assert error.value.is_busy


def test_what_was_asked_to_be_made_is_not_asked_for_twice() -> None:
    busy = Answering({"Error": {"Code": "RestApiServerException"}, "RestApiStatusCode": 502}, 1)
    with pytest.raises(AirflowAnswerError, match="502"):
        MwaaAirflow(busy, "etl-dev").post("/dags/a/dagRuns", {})  # type: ignore[arg-type]


class Answering:
    """A session whose MWAA raises what botocore makes of Airflow's own errors, so many times."""

    def __init__(self, response: dict[str, Any], times: int = 1) -> None:
        self._response = response
        self._times = times

    def client(self, _: str) -> "Answering":
        return self

    def invoke_rest_api(self, **_: Any) -> dict[str, Any]:
        if self._times == 0:
            return {"RestApiStatusCode": 200, "RestApiResponse": {"dags": []}}
        self._times -= 1
        raise ClientError(self._response, "InvokeRestApi")  # type: ignore[arg-type]


def test_a_network_that_fails_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so it is asked again where a refusal is final."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with pytest.raises(AirflowUnreachableError) as error:
        MwaaAirflow(boto3.Session(region_name="eu-west-1"), "etl-dev").get("/dags")
    assert error.value.is_busy
