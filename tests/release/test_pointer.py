import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.release.pointer import Lock, Pointer, expired, parse_pointer

LOCK = Lock(owner="ann", token="t", purpose="sync", since="2026-11-07T10:15:00Z", seconds=60)
NOW = datetime(2026, 11, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "pointer",
    [
        Pointer(None),
        Pointer("r", 7),
        Pointer("r", 8, LOCK),
        Pointer("r", 9, LOCK, "s", ("requirements", "startup"), failing=("a.py",)),
    ],
)
def test_a_pointer_reads_back_as_it_was_written(pointer: Pointer) -> None:
    assert parse_pointer(pointer.dump(), where="here") == pointer


def test_what_an_earlier_version_wrote_is_understood() -> None:
    content = b'{"format": 1, "release": "r", "serial": 7, "lock": null}'
    assert parse_pointer(content, where="here") == Pointer("r", 7)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 2, "release": null, "serial": 0}']
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(PipelineError, match="which release is current"):
        parse_pointer(content, where="here")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"lock": {**asdict(LOCK), "seconds": "long"}}, "lock.seconds"),
        ({"lock": {"owner": "ann"}}, "lock.token"),
        ({"lock": "me"}, "lock"),
        ({"release": 5}, "release"),
        ({"serial": "x"}, "serial"),
        ({"restores": 7}, "restores"),
        ({"unsettled": ["everything"]}, "unsettled.0"),
    ],
)
def test_a_hand_edit_is_told_by_its_field(wrong: dict[str, Any], named: str) -> None:
    content = json.dumps({**json.loads(Pointer("r", 7).dump()), **wrong}).encode()
    with pytest.raises(PipelineError, match=f"which release is current in format 1: {named}: "):
        parse_pointer(content, where="here")


def test_a_lock_left_by_an_earlier_version_means_that_its_release_did_not_end() -> None:
    content = json.dumps({"format": 1, "release": "r", "serial": 7, "lock": asdict(LOCK)}).encode()
    assert parse_pointer(content, where="here").unfinished


@pytest.mark.parametrize(("silent", "dead"), [(0, False), (60, False), (61, True)])
def test_a_lock_is_dead_when_its_owner_was_silent_for_longer_than_it_lasts(silent: int, dead: bool) -> None:
    assert expired(LOCK, written=NOW - timedelta(seconds=silent), now=NOW) is dead


def test_a_lock_of_more_seconds_than_time_has_is_no_traceback() -> None:
    assert not expired(replace(LOCK, seconds=10**17), written=NOW, now=NOW)
