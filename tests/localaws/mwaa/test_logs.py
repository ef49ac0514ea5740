from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.mwaa.logs import Logs, kept, level_of, stream_of, time_of
from tests.localaws.conftest import Serve

CONSOLE = "2026-11-23T12:17:01.277677Z [info     ] Starting the scheduler [airflow] loc=x.py:1"
RECORD = '{"timestamp":"2026-11-23T12:32:04.076074Z","level":"warning","event":"HELLO"}'
EVERYTHING = {"TaskLogs": {"Enabled": True, "LogLevel": "INFO"}, "SchedulerLogs": {"Enabled": True}}


@pytest.mark.parametrize(
    ("line", "level"),
    [(CONSOLE, "INFO"), (RECORD, "WARNING"), ("Traceback (most recent call last):", None), ("{broken", None)],
)
def test_the_level_of_a_line_is_found_in_both_of_airflows_formats(line: str, level: str | None) -> None:
    assert level_of(line) == level


def test_the_time_of_a_line_is_the_one_it_was_logged_at() -> None:
    assert time_of(CONSOLE) == 1795436221277
    assert time_of(RECORD) == 1795437124076
    assert time_of("no time") is None


def test_lines_below_the_level_are_left_out_with_what_follows_them() -> None:
    lines = ["banner", CONSOLE, "  more of it", RECORD, "  its traceback", CONSOLE]
    assert list(kept(lines, "WARNING")) == ["banner", RECORD, "  its traceback"]
    assert list(kept(lines, "INFO")) == lines


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "dag_id=a/run_id=manual__2026-11-23T12:00:00+00:00/task_id=t/attempt=1.log",
            ("TaskLogs", "dag_id=a/run_id=manual__2026-11-23T12_00_00+00_00/task_id=t/attempt=1.log"),
        ),
        (
            "dag_processor/2026-11-23/dags-folder/a.py.log",
            ("DagProcessingLogs", "dag_processor/2026-11-23/dags-folder/a.py.log"),
        ),
        ("other/a.log", None),
        ("dag_id=a/notes.txt", None),
    ],
)
def test_a_file_of_airflows_has_the_stream_mwaa_gives_it(path: str, expected: tuple[str, str] | None) -> None:
    assert stream_of(Path(path)) == expected


def lines_of(client: Any, group: str) -> list[str]:
    return [event["message"] for event in client.filter_log_events(logGroupName=group)["events"]]


def test_what_is_written_arrives_once_and_only_whole_lines(serve: Serve, tmp_path: Path) -> None:
    client = serve().client("logs")
    tasks = tmp_path / "logs" / "dag_id=a" / "run_id=r" / "task_id=t"
    tasks.mkdir(parents=True)
    logs = Logs(client, "once", tmp_path / "processes", tmp_path / "logs")
    logs.configure({"LoggingConfiguration": EVERYTHING})
    log = tasks / "attempt=1.log"
    log.write_text(RECORD + "\nhalf a li")
    logs.ship()
    assert lines_of(client, "airflow-once-Task") == [RECORD]
    logs.ship()
    log.write_text(RECORD + "\nhalf a line\n\n")
    logs.ship()
    logs.ship()
    assert lines_of(client, "airflow-once-Task") == [RECORD, "half a line", " "]


def test_a_component_that_is_not_enabled_logs_nothing(serve: Serve, tmp_path: Path) -> None:
    client = serve().client("logs")
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "api-server.log").write_text(CONSOLE + "\n")
    (tmp_path / "processes" / "scheduler.log").write_text(CONSOLE + "\n")
    logs = Logs(client, "quiet", tmp_path / "processes", tmp_path / "logs")
    logs.configure({"LoggingConfiguration": EVERYTHING})
    logs.ship()
    groups = [found["logGroupName"] for found in client.describe_log_groups()["logGroups"]]
    assert [group for group in groups if "quiet" in group] == ["airflow-quiet-Scheduler", "airflow-quiet-Task"]


def test_lines_that_could_not_be_sent_are_sent_the_next_time(serve: Serve, tmp_path: Path) -> None:
    client = serve().client("logs")
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "scheduler.log").write_text(CONSOLE + "\n")
    logs = Logs(client, "again", tmp_path / "processes", tmp_path / "logs")
    logs.configure({"LoggingConfiguration": EVERYTHING})
    logs.ship()
    client.delete_log_group(logGroupName="airflow-again-Scheduler")
    with (tmp_path / "processes" / "scheduler.log").open("a") as file:
        file.write("second\n")
    logs.ship()
    logs.ship()
    assert lines_of(client, "airflow-again-Scheduler") == ["second"]
