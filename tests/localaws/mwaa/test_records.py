from datetime import UTC, datetime
from pathlib import Path

from pipeline.localaws.mwaa.records import Record, Update, new_secrets, read


def test_an_environment_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    at = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    record = Record(
        {"Name": "dev", "CreatedAt": at, "LastUpdate": {"CreatedAt": at}},
        new_secrets(),
        8080,
        Update({"Name": "dev"}, "FORCED"),
    )
    record.write(tmp_path / "dev")
    assert read(tmp_path / "dev") == record
    assert (tmp_path / "dev" / "environment.json").stat().st_mode & 0o77 == 0, "it holds secrets"


def test_a_folder_without_a_readable_record_is_no_environment(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / "environment.json").write_text('{"document": {}}')
    assert read(tmp_path) is None
    (tmp_path / "environment.json").write_text("{half")
    assert read(tmp_path) is None


def test_no_two_environments_share_secrets() -> None:
    assert new_secrets() != new_secrets()
