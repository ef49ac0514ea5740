from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.settings import Settings, load, parse


def dev(**settings: Any) -> Settings:
    return parse(
        {
            "name": "etl",
            "region": "eu-west-1",
            "repository": "etl",
            "airflow": {"version": "3.3.1"},
            "environments": {"dev": settings},
        }
    )


def keeping(*patterns: str) -> Settings:
    return dev(keep=list(patterns))


def test_patterns_of_what_is_kept_are_relative_to_the_dag_folder() -> None:
    patterns = ("team/*", "team/", "team", "*.json", "dags.py")
    assert keeping(*patterns).environment("dev").keep == patterns


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [("dags/team/*", "team/*"), ("/team/*", "team/*"), ("/dags/team/", "team/"), ("/", "*"), ("dags/", "*")],
)
def test_a_pattern_that_would_match_nothing_is_refused_with_the_one_that_is_meant(pattern: str, instead: str) -> None:
    with pytest.raises(UsageError) as error:
        keeping("other", pattern)
    assert "context.pipeline.environments.dev.keep.1" in error.value.what
    assert f"write {instead!r} (it is {pattern!r})" in error.value.what


def test_an_empty_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match=r"keep\.0"):
        keeping("")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "context.pipeline is missing"),
        ('{"context": []}', "context.pipeline is missing"),
        ('{"context": {"pipeline": null}}', "context.pipeline is missing"),
        ('{"context": {"pipeline": 3}}', "context.pipeline"),
        (None, "it cannot be read: Is a directory"),
    ],
)
def test_settings_that_are_none_are_refused_in_a_sentence(
    tmp_path: Path, content: str | bytes | None, what: str
) -> None:
    path = tmp_path / "cdk.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=what):
        load(tmp_path)


@pytest.mark.parametrize("canary", ["", "  ", "a/b?x", "a\nb", "a" * 51])
def test_a_canary_that_no_dag_can_be_called_is_refused(canary: str) -> None:
    with pytest.raises(UsageError, match=r"environments\.dev\.canary"):
        dev(canary=canary)


def test_more_workers_at_least_than_at_most_are_refused() -> None:
    with pytest.raises(UsageError, match=r"min_workers \(5\) is more than max_workers \(2\)"):
        dev(min_workers=5)
    assert dev(min_workers=5, max_workers=5).environment("dev").min_workers == 5
