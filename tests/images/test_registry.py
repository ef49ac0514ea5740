"""What is asked of ECR, in how many requests, and what its errors become."""

import json
import ssl
import subprocess
import uuid
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import boto3
import pytest
from botocore.stub import Stubber

from pipeline.errors import PipelineError
from pipeline.images.checks.scan import NEVER, BusyError, Scan
from pipeline.images.ecr import EcrRegistry
from pipeline.images.ecr_scan import EcrScan
from pipeline.images.ecr_store import EcrStore
from pipeline.images.plan import Published
from pipeline.images.registry import Login
from pipeline.images.registry_label import image_label
from pipeline.localaws.region import LocalRegion
from tests.localaws.ecr.conftest import Registry as Pusher


class Counted:
    """A registry adapter whose API requests are counted by operation."""

    def __init__(self, region: LocalRegion) -> None:
        self.requests: Counter[str] = Counter()
        self.prefix = uuid.uuid4().hex[:8]
        session = boto3.Session("local", "local", region_name=region.region)
        session.events.register("before-send.ecr", self._count)
        self.registry = EcrRegistry(session, lambda container: f"{self.prefix}/{container}")
        self.region = region

    def _count(self, request: object, event_name: str, **_: object) -> None:
        assert request
        self.requests[event_name.rpartition(".")[2]] += 1

    def create(self, *names: str) -> None:
        for name in names:
            self.region.client("ecr").create_repository(repositoryName=f"{self.prefix}/{name}")

    def push(self, name: str, tag: str) -> str:
        status, digest, answer = Pusher(self.region).login().push(f"{self.prefix}/{name}", tag, tag.encode())
        assert status == 201, answer
        return digest


@pytest.fixture
def counted(registry: LocalRegion, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setenv("AWS_ENDPOINT_URL", registry.endpoint)
    return Counted(registry)


def test_n_containers_take_n_plus_one_requests(counted: Counted) -> None:
    names = ("a", "b", "c")
    counted.create(*names)
    digests = {name: counted.push(name, "one") for name in names}
    found = counted.registry.published(names)
    assert {name: each.images["one"].digest for name, each in found.items()} == digests
    assert all(each.images["one"].size > 0 for each in found.values())
    assert counted.requests == {"DescribeRepositories": 1, "DescribeImages": 3}


def test_a_repositorys_address_and_its_newest_tag_are_known(counted: Counted) -> None:
    counted.create("a")
    counted.push("a", "one")
    counted.push("a", "two")
    found = counted.registry.published(["a"])["a"]
    assert found.uri == f"{counted.region.endpoint.partition('://')[2]}/{counted.prefix}/a"
    assert set(found.images) == {"one", "two"}
    assert found.newest in ("one", "two")  # both within one second of the registry's clock


def test_a_repository_without_images_and_one_that_does_not_exist_are_told_apart(counted: Counted) -> None:
    counted.create("a")
    found = counted.registry.published(["a", "gone"])
    assert (bool(found["a"].uri), found["a"].images) == (True, {})
    assert found["gone"] == Published("", {}, account=counted.region.account)


def test_one_image_is_found_or_not(counted: Counted) -> None:
    counted.create("a")
    digest = counted.push("a", "one")
    found = counted.registry.image("a", "one")
    assert found is not None
    assert found.digest == digest
    assert counted.registry.image("a", "two") is None


def test_an_image_that_records_nothing_has_no_inputs(counted: Counted) -> None:
    counted.create("a")
    counted.push("a", "one")
    found = counted.registry.published(["a"])["a"]
    assert counted.registry.recorded("a", found) is None
    assert counted.registry.recorded("a", Published(found.uri, {})) is None


def test_the_login_is_asked_for_once(counted: Counted) -> None:
    assert counted.registry.login() == counted.registry.login()
    assert counted.registry.login().server == counted.region.endpoint.partition("://")[2]
    assert counted.requests == {"GetAuthorizationToken": 1}


def test_a_registry_that_does_not_answer_is_a_sentence(registry: LocalRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    down = Counted(registry).registry
    for ask in (lambda: down.published(["a"]), lambda: down.image("a", "t"), down.login):
        with pytest.raises(PipelineError, match="cannot be asked") as refused:
            ask()
        assert "pipeline local env" in refused.value.mend


def test_an_endpoint_that_is_none_is_a_sentence(registry: LocalRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "not-a-url")
    with pytest.raises(PipelineError, match="Invalid endpoint: not-a-url"):
        Counted(registry)
    with pytest.raises(PipelineError, match="Invalid endpoint: not-a-url"):
        EcrStore(boto3.Session(region_name=registry.region), str)


def test_a_hundred_repositories_of_which_some_are_missing_take_one_request_more_than_there_are(
    counted: Counted,
) -> None:
    names = [f"n{number}" for number in range(102)]
    counted.create(*names[2:])
    found = counted.registry.published(names)
    assert [name for name in names if not found[name].uri] == names[:2]
    assert counted.requests == {"DescribeRepositories": 1, "DescribeImages": 102}


def answering(*answers: dict[str, Any]) -> EcrScan:
    """ECR's scans, with what the API answers, one after the other."""
    found = EcrScan(boto3.Session("a", "b", region_name="eu-west-1"), lambda name: f"etl/{name}")
    stub = Stubber(found._ecr)
    for answer in answers:
        stub.add_response(**answer)
    stub.activate()
    return found


def test_a_scan_is_asked_for_by_digest_where_todays_scanners_tell_it() -> None:
    digest = f"sha256:{'1' * 64}"
    answer = {
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindings": {"findingSeverityCounts": {"CRITICAL": 1, "LOW": 4}},
    }
    asked = {"repositoryName": "etl/x", "imageId": {"imageDigest": digest}}
    found = answering({"method": "describe_image_scan_findings", "service_response": answer, "expected_params": asked})
    scan = found.scan("x", digest)
    assert (scan.status, scan.severities) == ("COMPLETE", {"CRITICAL": 1, "LOW": 4})


@pytest.mark.parametrize(
    ("findings", "result"),
    [
        ({"findings": []}, False),
        ({}, False),
        ({"findings": [], "imageScanCompletedAt": 1.0}, True),
        ({"enhancedFindings": [], "findingSeverityCounts": {}}, True),
    ],
)
def test_a_scan_has_a_result_once_it_tells_counts_or_when_it_ended(findings: dict[str, Any], result: bool) -> None:
    answer = {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": findings}
    found = answering({"method": "describe_image_scan_findings", "service_response": answer})
    assert found.scan("x", "sha256:1") == Scan("COMPLETE", result=result)


@pytest.mark.parametrize(
    ("status", "description", "meant"),
    [
        (
            "FAILED",
            "UnsupportedImageError: The operating system and/or package manager are not supported.",
            "UNSUPPORTED",
        ),
        ("FAILED", "Internal error", "FAILED"),
        ("COMPLETE", "", "COMPLETE"),
    ],
)
def test_a_scan_of_a_system_that_the_scanner_does_not_know_will_never_be(
    status: str, description: str, meant: str
) -> None:
    answer = {"imageScanStatus": {"status": status, "description": description}}
    found = answering({"method": "describe_image_scan_findings", "service_response": answer}).scan("x", "sha256:1")
    assert (found.status.startswith(meant), found.description) == (True, description)
    assert (found.status in NEVER) is (meant == "UNSUPPORTED")


@pytest.mark.parametrize(
    ("code", "http", "busy", "mend"),
    [
        ("AccessDeniedException", 400, False, "inspector2:ListFindings"),
        ("AccessDeniedException", 400, False, "ecr:DescribeImageScanFindings"),
        ("ThrottlingException", 400, True, ""),
        ("TooManyRequestsException", 429, True, ""),
        ("ServerException", 500, True, ""),
        ("ExpiredTokenException", 400, False, "Log in to AWS again."),
        ("RepositoryNotFoundException", 400, False, ""),
    ],
)
def test_a_scan_that_is_refused_has_the_mend_of_its_cause(code: str, http: int, busy: bool, mend: str) -> None:
    found = EcrScan(boto3.Session("a", "b", region_name="eu-west-1"), lambda name: f"etl/{name}")
    for method, ask in (
        ("describe_image_scan_findings", lambda: found.scan("x", "sha256:1")),
        ("batch_get_image", lambda: found.parts("x", "sha256:1")),
    ):
        with Stubber(found._ecr) as stub:
            stub.add_client_error(method, code, http_status_code=http)
            with pytest.raises(PipelineError, match=f"the registry refuses: .*{code}") as refused:
                ask()
        assert isinstance(refused.value, BusyError) is busy
        assert mend in refused.value.mend


def test_the_parts_of_an_index_are_known_by_platform() -> None:
    members = [
        {"digest": "sha256:a", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:b", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    ]
    images = [{"imageManifest": json.dumps({"manifests": members})}]
    found = answering({"method": "batch_get_image", "service_response": {"images": images}})
    assert found.parts("x", "sha256:1") == {"linux/amd64": "sha256:a", "linux/arm64/v8": "sha256:b"}
    with pytest.raises(PipelineError, match="cannot be asked"):
        answering({"method": "batch_get_image", "service_response": {"images": []}}).parts("x", "sha256:1")


def test_an_image_that_was_never_scanned_has_no_scan(counted: Counted) -> None:
    counted.create("a")
    digest = counted.push("a", "one")
    session = boto3.Session("local", "local", region_name=counted.region.region)
    assert EcrScan(session, lambda name: f"{counted.prefix}/{name}").scan("a", digest) == Scan()


class Odd(BaseHTTPRequestHandler):
    """A registry that answers as the class says, under whatever path."""

    answers: ClassVar[Mapping[str, bytes]] = {}
    length: ClassVar[int] = 0

    def do_GET(self) -> None:
        body = next((body for path, body in self.answers.items() if path in self.path), None)
        self.send_response(503 if body is None else 200)
        self.send_header("Content-Length", str(self.length + len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("answers", "missing"),
    [
        ({}, 0),
        ({"manifests": b'{"manifests": []}'}, 0),
        ({"manifests": b'{"layers": []}'}, 0),
        ({"manifests": b"[]"}, 0),
        ({"manifests": b"no JSON"}, 0),
        ({"manifests": b'{"config": {"digest": "sha256:1"}}', "blobs": b'{"config": {"Labels": ["x"]}}'}, 0),
        ({"manifests": b'{"config": {"digest": "sha256:1"}}', "blobs": b'{"config": []}'}, 0),
        ({"manifests": b'{"config"'}, 9),
    ],
    ids=["503", "no part", "no configuration", "no object", "no JSON", "odd labels", "odd configuration", "cut"],
)
def test_a_label_that_cannot_be_read_is_a_sentence(answers: Mapping[str, bytes], missing: int) -> None:
    handler = type("Handler", (Odd,), {"answers": answers, "length": missing})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        login = Login("", f"http://127.0.0.1:{server.server_port}", "user", "password")
        with pytest.raises(PipelineError, match=r"cannot be asked|not as expected"):
            image_label(login, "etl/x", "t", "pipeline.inputs")
    finally:
        server.shutdown()
        server.server_close()


def test_whom_boto3_trusts_is_trusted_with_a_label_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a corporate CA, which AWS_CA_BUNDLE names."""
    own = tmp_path / "registry.pem"
    made = ("-keyout", own.with_suffix(".key"), "-out", own, "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry.test", *made],
        check=True,
        capture_output=True,
    )
    answers = {"manifests": b'{"config": {"digest": "sha256:1"}}', "blobs": b'{"config": {"Labels": {"a": "b"}}}'}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Odd,), {"answers": answers}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, own.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    login = Login("", f"https://127.0.0.1:{server.server_port}", "user", "password")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    try:
        with pytest.raises(PipelineError, match="certificate verify failed"):
            image_label(login, "etl/x", "t", "a")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(own))
        assert image_label(login, "etl/x", "t", "a") == "b"
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none"))
        with pytest.raises(PipelineError, match="No such file"):
            image_label(login, "etl/x", "t", "a")
    finally:
        server.shutdown()
        server.server_close()


def test_parts_that_somebody_else_joined_meanwhile_are_taken_as_they_are() -> None:
    registry = EcrRegistry(boto3.Session("a", "b", region_name="eu-west-1"), lambda name: f"etl/{name}")
    images = [{"imageId": {"imageTag": f"t-{part}"}, "imageManifest": "{}"} for part in ("amd64", "arm64")]
    parts = {"linux/amd64": "t-amd64", "linux/arm64": "t-arm64"}
    for code in ("ImageTagAlreadyExistsException", "ImageAlreadyExistsException"):
        with Stubber(registry._ecr) as stub:
            stub.add_response("batch_get_image", {"images": images})
            stub.add_client_error("put_image", code)
            assert not registry.join("x", "t", parts)
    with Stubber(registry._ecr) as stub:
        stub.add_response("batch_get_image", {"images": images[:1]})
        with pytest.raises(PipelineError, match="does not have the part t-arm64"):
            registry.join("x", "t", parts)
