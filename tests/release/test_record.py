from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.release import record
from pipeline.release.record import PartRecord, TaskRecord
from tests.release.values import ARN, FIRST, SECOND, file_record, release


def test_a_record_reads_back_as_it_was_written() -> None:
    written = release(
        {"dags/a.py": file_record("a"), "dags/ä b.sql": file_record("", version="v2", level=3)},
        previous=SECOND,
        parts={"requirements": PartRecord(key="requirements.txt", sha256="0" * 64, version="v9")},
        tasks={"ingest": TaskRecord(task_definition=ARN.format(7), image="repository:tag")},
    )
    assert record.parse(written.dump(), where="here") == written


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ((b'"format": 1', b'"format": 2'), "format"),
        ((b'"kind": "deploy"', b'"kind": "other"'), "kind"),
        ((b'"commit": "c0ffee1"', b'"commit": ""'), "commit"),
        ((b'"by": "ann@laptop"', b'"bye": "ann@laptop"'), "by"),
        ((b'"version": "v1"', b'"version": ""'), "files.dags/a.py.version"),
        ((b"{", b"["), "document"),
    ],
)
def test_a_damaged_record_is_refused_and_the_field_is_named(damage: tuple[bytes, bytes], named: str) -> None:
    content = release({"dags/a.py": file_record("a")}).dump()
    assert damage[0] in content
    with pytest.raises(PipelineError) as error:
        record.parse(content.replace(*damage, 1), where="s3://bucket/releases/x.json")
    assert named in error.value.what
    assert error.value.where == "s3://bucket/releases/x.json"


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)), st.text(max_size=50))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_any_commit_gives_an_id(now: datetime, commit: str) -> None:
    assert record.is_id(record.new_id(now, commit))


def test_ids_sort_by_time_whatever_the_commit() -> None:
    earlier = record.new_id(datetime(2026, 11, 7, 10, 59, 59, tzinfo=UTC), "ffffff")
    later = record.new_id(datetime(2026, 11, 7, 11, 0, 0, tzinfo=UTC), "000000")
    assert earlier < later


def test_two_releases_of_one_commit_in_one_second_differ() -> None:
    now = datetime(2026, 11, 7, tzinfo=UTC)
    assert len({record.new_id(now, "c0ffee") for _ in range(50)}) > 45


@pytest.mark.parametrize("text", ["", "current", f"{FIRST}\n", f" {FIRST}", f"../{FIRST}", f"{FIRST}.json", FIRST[:16]])
def test_what_is_no_id_is_not_taken_for_one(text: str) -> None:
    assert record.is_id(FIRST)
    assert not record.is_id(text)


def test_a_release_sorts_after_the_one_before_even_where_a_clock_is_behind() -> None:
    late = datetime(2026, 11, 7, 12, tzinfo=UTC)
    before = record.new_id(late, "aaaaaaa")
    assert record.new_id(late, "0000000", after=before) > before, "in the same second"
    assert record.new_id(late - timedelta(hours=3), "0000000", after=before) > before
