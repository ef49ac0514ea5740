import json

import pytest

from pipeline.localairflow.logs import readable

AT = "2026-11-23T12:32:04.076074Z"
FAILED = {
    "timestamp": AT,
    "level": "error",
    "event": "Task failed with exception",
    "error_detail": [
        {"exc_type": "KeyError", "exc_value": "'a'", "frames": []},
        {
            "exc_type": "ValueError",
            "exc_value": "no rows",
            "frames": [{"filename": "orders.py", "lineno": 3, "name": "load"}],
        },
    ],
}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (json.dumps({"timestamp": AT, "level": "info", "event": "HELLO"}), "12:32:04 HELLO"),
        (json.dumps({"timestamp": AT, "level": "warning", "event": "late"}), "12:32:04 WARNING late"),
        (json.dumps(FAILED), "12:32:04 ERROR Task failed with exception\n  orders.py:3 in load\n  ValueError: no rows"),
        ("{'no': json}", "{'no': json}"),
        ("plain words", "plain words"),
    ],
)
def test_a_line_is_shown_as_people_read_it(message: str, line: str) -> None:
    assert readable(message) == line
