"""The text of an approval's request, and that AWS takes it whatever is released."""

from datetime import UTC, datetime

import pytest

from pipeline.infra.approval_request import LONGEST, comment
from pipeline.names import LONGEST_SUMMARY
from pipeline.release import record
from pipeline.release.dossier import Dossier
from pipeline.release.dossier_headline import summary

COMMIT = "f" * 40
RELEASE = record.new_id(datetime(2026, 11, 7, tzinfo=UTC), COMMIT)


def test_a_release_manager_reads_the_commit_and_what_runs_it_already() -> None:
    assert comment("prod", commit="#{C}", releases={"dev": "#{D}", "test": "#{T}"}, dossier="#{S}") == (
        "Release commit #{C} to prod. dev runs it as #{D}. test runs it as #{T}. #{S}"
    )


@pytest.mark.parametrize("count", range(12))
def test_it_never_passes_the_limit_with_the_longest_of_everything(count: int) -> None:
    dossier = summary(Dossier("p" * 20, COMMIT, commits_unknown="\N{OWL}" * 5000))
    assert len(dossier.encode("utf-16-le")) // 2 in (LONGEST_SUMMARY, LONGEST_SUMMARY - 1)
    before = {f"environment-name-{number:03}": f"{RELEASE}x" for number in range(count)}  # an id may be one longer
    text = comment("p" * 20, commit=COMMIT, releases=before, dossier=dossier)
    assert len(text.encode("utf-16-le")) // 2 <= LONGEST
    named = [name for name in before if f"{name} runs it as" in text]
    assert named == list(before)[-3:], "the nearest ones"
