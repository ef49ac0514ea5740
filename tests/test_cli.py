"""The command as a build has it: without what only the local AWS needs."""

import subprocess
import sys

import pytest
from botocore.exceptions import EndpointConnectionError

from pipeline import cli

WITHOUT_MOTO = "import sys; sys.modules['moto'] = None; from pipeline.cli import main; main()"


def run_without_moto(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_MOTO, *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_says_which_is_not_installed() -> None:
    done = run_without_moto("--help")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "local Not installed here: needs moto" in said
    assert "sync " in said


def test_a_command_that_is_not_installed_says_how_to_get_it() -> None:
    done = run_without_moto("local", "up", "--port", "1")
    assert done.returncode == 1
    assert "`pipeline local` needs the package moto, which is not installed here" in " ".join(done.stderr.split())
    assert "make setup" in done.stderr


def test_python_m_pipeline_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "sync", "--nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: pipeline sync")


def test_an_aws_that_goes_away_in_the_middle_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:4577/restapi/etl-dev")

    monkeypatch.setattr(cli, "pipeline", follow)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: AWS does not answer as it should: Could not connect to the endpoint URL")
    assert "make run" in told


def test_a_mistake_of_ours_is_not_taken_for_one_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "pipeline", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main()
