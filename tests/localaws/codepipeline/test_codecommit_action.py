"""Dates, the one thing of a commit that changes its form on the way."""

import pytest

from pipeline.localaws.codepipeline.actions.codecommit import iso


@pytest.mark.parametrize(
    ("date", "expected"),
    [("1760000000 +0200", "2025-10-09T08:53:20Z"), ("1760000000", "2025-10-09T08:53:20Z"), ("yesterday", "yesterday")],
)
def test_dates_of_commits_become_iso_dates(date: str, expected: str) -> None:
    assert iso(date) == expected
