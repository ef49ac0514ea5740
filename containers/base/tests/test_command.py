from argparse import ArgumentParser, Namespace
from datetime import date

import pytest
from databucket.bucket import Bucket, MemoryBucket
from databucket.command import BAD_DATA, DONE, WRONG_USAGE, BadDataError, day, run


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="count")
    made.add_argument("--day", type=day, required=True)
    return made


def count(arguments: Namespace, bucket: Bucket) -> str:
    content = bucket.read(f"{arguments.day}.csv")
    if not content:
        raise BadDataError(f"{arguments.day} is empty")
    return f"{len(content)} bytes on {arguments.day:%A}"


def test_a_command_that_succeeds_says_what_it_did(caplog):
    caplog.set_level("INFO")
    assert run(parser(), count, ["--day", "2026-01-02"], MemoryBucket({"2026-01-02.csv": b"abc"})) == DONE
    assert caplog.messages == ["3 bytes on Friday"]


@pytest.mark.parametrize("objects", [{}, {"2026-01-02.csv": b""}], ids=["missing", "empty"])
def test_bad_data_is_a_code_of_its_own_and_one_line(caplog, objects):
    assert run(parser(), count, ["--day", "2026-01-02"], MemoryBucket(objects)) == BAD_DATA
    assert len(caplog.messages) == 1
    assert "2026-01-02" in caplog.messages[0]


def test_an_argument_that_is_no_day_is_refused_with_what_was_expected(capsys):
    with pytest.raises(SystemExit) as stop:
        run(parser(), count, ["--day", "yesterday"], MemoryBucket())
    assert stop.value.code == WRONG_USAGE
    assert "'yesterday' is not a day; expected YYYY-MM-DD" in capsys.readouterr().err


def test_without_a_bucket_nothing_is_attempted(monkeypatch):
    monkeypatch.delenv("DATA_BUCKET", raising=False)
    assert run(parser(), count, ["--day", "2026-01-02"]) == WRONG_USAGE


def test_a_day_is_a_date():
    assert day("2026-01-02") == date(2026, 1, 2)
