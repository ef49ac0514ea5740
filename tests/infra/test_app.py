"""app.py as the CDK CLI runs it: a process, whose failures are sentences."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.infra import place
from pipeline.settings import parse
from tests.infra.conftest import PROJECT, SETTINGS


def run_app(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("CDK_", "AWS_"))}
    return subprocess.run(
        [sys.executable, str(PROJECT / "app.py")],
        cwd=folder,
        env={**known, "PYTHONPATH": str(PROJECT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def project(folder: Path, **change: Any) -> Path:
    document = json.loads((PROJECT / "cdk.json").read_text(encoding="utf-8"))
    document["context"]["pipeline"] |= change
    (folder / "cdk.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "containers").mkdir()
    return folder


@pytest.mark.app
def test_a_wrong_setting_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = run_app(project(tmp_path, execution_mode="FASTEST"), CDK_DEFAULT_ACCOUNT="123456789012")
    assert done.returncode == 2
    assert "context.pipeline.execution_mode" in done.stderr
    assert "FASTEST" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.app
def test_an_unknown_account_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = run_app(project(tmp_path))
    assert done.returncode == 2
    assert "the account is not known" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.app
def test_this_project_is_synthesized_as_the_cdk_cli_does_it(tmp_path: Path) -> None:
    context = json.loads((PROJECT / "cdk.json").read_text(encoding="utf-8"))["context"]
    done = run_app(
        PROJECT,
        CDK_DEFAULT_ACCOUNT="123456789012",
        CDK_CONTEXT_JSON=json.dumps(context),
        CDK_OUTDIR=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    stack = f"{context['pipeline']['name']}-pipeline"
    assert (tmp_path / f"{stack}.template.json").is_file()
    assert {path.name for path in tmp_path.glob("assembly-*")} == {
        f"assembly-{stack}-{environment}" for environment in context["pipeline"]["environments"]
    }


ELSEWHERE = {**SETTINGS, "environments": {"dev": {}, "prod": {"account": "210987654321", "region": "us-east-1"}}}


def test_the_settings_account_goes_before_the_callers() -> None:
    assert place.of_pipeline(parse({**ELSEWHERE, "account": "111111111111"}), "222222222222").account == "111111111111"
    assert place.of_pipeline(parse(ELSEWHERE), "222222222222").account == "222222222222"


def test_without_any_account_nothing_is_guessed() -> None:
    with pytest.raises(UsageError, match="account is not known"):
        place.of_pipeline(parse(ELSEWHERE), None)


def test_an_environment_is_where_the_pipeline_is_but_for_what_the_settings_say() -> None:
    settings = parse(ELSEWHERE)
    pipeline = place.of_pipeline(settings, "222222222222")
    assert place.of_environment(settings, "dev", pipeline) == pipeline
    assert place.of_environment(settings, "prod", pipeline) == place.Place("210987654321", "us-east-1")
