"""What the doctor says of a machine."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.doctor import at_least, doctor, pinned_cdk

PROJECT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("found", "wanted", "good"),
    [
        ("v20.20.2\n", (20,), True),
        ("v18.1.0", (20,), False),
        ("3.11.7", (3, 11), True),
        ("3.9.2", (3, 11), False),
        (None, (1,), False),
    ],
)
def test_a_version_is_compared_by_its_numbers(found: str | None, wanted: tuple[int, ...], good: bool) -> None:
    finding = at_least("it", found, wanted, "get it")
    assert (finding.good, finding.mend) == (good, "" if good else "get it")


@pytest.mark.parametrize(("installed", "good"), [("2.1148.1", True), ("3.0.0", False), (None, False)])
def test_only_the_pinned_cdk_cli_is_good(installed: str | None, good: bool) -> None:
    finding = pinned_cdk(installed, "2.1148.1")
    assert finding.good is good
    assert ("npm ci" in finding.mend) is not good


def test_a_taken_port_and_wrong_settings_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cdk.json").write_text('{"context": {"pipeline": {"name": "UPPER"}}}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(doctor, ["--json", "--port", str(port)])
    assert result.exit_code == 1
    found = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert "PIPELINE_LOCAL_PORT" in found[f"Port {port}"]["mend"]
    assert "context.pipeline.name" in found["cdk.json"]["found"]
    assert found["CDK CLI"]["good"] is False
    assert found["Python"]["good"] is True


def test_of_this_project_the_settings_and_the_pinned_cli_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    found = {each["subject"]: each for each in json.loads(CliRunner().invoke(doctor, ["--json"]).stdout)}
    assert found["cdk.json"]["good"] is True
    assert found["CDK CLI"]["good"] is True


@pytest.mark.parametrize(
    ("installed", "found", "mend"),
    [
        ("/opt/python3.12", "3.12 for Airflow 3.3.1: /opt/python3.12", ""),
        (None, "3.12 is not here; DAGs are tested on 3.", "uv python install 3.12 "),
    ],
)
def test_the_python_of_mwaa_is_told_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, found: str, mend: str
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("pipeline.doctor.installed_python", lambda _: installed)
    result = CliRunner().invoke(doctor, ["--json"])
    told = {each["subject"]: each for each in json.loads(result.stdout)}["MWAA's Python"]
    assert told["good"]
    assert told["found"].startswith(found)
    assert told["mend"][: len(mend) or None] == mend
