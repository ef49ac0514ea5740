"""What the clock has to do with a schedule: a good DAG does not fail for the minute at which it is tested."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.testing import run_test
from tests.dagtest.projects import make_project, run

DAG = "from airflow.models.dag import DAG\nfrom pendulum import datetime\ndag = DAG({!r}, {})\n"
EVENTS = "from airflow.timetables.events import EventsTimetable\n"
HELPER = "import pendulum\nSTART = pendulum.now('UTC')\n"
NOW = datetime.now(UTC)


def written(moment: datetime, parts: int) -> str:
    """A date as an author writes it, to the minute (5 parts) or the second (6)."""
    return f"datetime({', '.join(map(str, moment.timetuple()[:parts]))})"


@pytest.mark.parametrize("airflow", ["3.3.1", "2.10.3"])
def test_only_what_moves_or_never_runs_is_told_and_nothing_of_it_sticks(tmp_path: Path, airflow: str) -> None:
    past, coming = written(NOW - timedelta(days=20), 3), written(NOW + timedelta(days=20), 3)
    soon = written(NOW + timedelta(days=1), 3)
    files = {
        "minute.py": DAG.format("minute", f"schedule='@daily', start_date={written(NOW, 5)}"),
        "second.py": "from started import START\n" + DAG.format("second", "schedule='@daily', start_date=START"),
        "past.py": EVENTS
        + DAG.format("past", f"schedule=EventsTimetable([{past}]), start_date=datetime(2026, 1, 1), catchup=False"),
        "coming.py": EVENTS
        + DAG.format("coming", f"schedule=EventsTimetable([{coming}]), start_date=datetime(2026, 1, 1), catchup=False"),
        "before.py": EVENTS
        + DAG.format("before", f"schedule=EventsTimetable([{past}]), start_date={soon}, catchup=False"),
        "last.py": DAG.format(
            "last",
            f"schedule='0 0 29 2 *', start_date=datetime(2020, 1, 1), end_date={soon}, catchup=False",
        ),
        "named.py": "import pendulum\nSTART = pendulum.today('UTC').subtract(days=3)\n"
        + DAG.format("named", "schedule='@daily', start_date=START"),
        "own.py": "from airflow.timetables.base import Timetable\nclass Own(Timetable): ...\n"
        + DAG.format("own", "schedule=Own(), start_date=datetime(2026, 1, 1)"),
        "started.py": HELPER,
        "fargate.py": "",
        ".airflowignore": "fargate.py\nplugins/\nstarted.py\n",
    }
    project = make_project(tmp_path, files, airflow=airflow)
    said = run(project).said()
    assert set(said) == {
        ("second.py", "start-dates"),
        ("before.py", "schedules"),
        ("named.py", "start-dates"),
        ("own.py", "imports"),
    }, said
    assert said["named.py", "start-dates"].startswith("dags/named.py:2: named: its start date is made of the time")
    assert "Move its class to a module in plugins/" in said["own.py", "imports"]
    again = run_test(ensure(project, airflow), project, settings.load(project))
    imported = {file.path for file in again.files if not file.is_kept}
    assert imported - {"dags/own.py"} == {"dags/second.py"}  # what Airflow 2 reads to look for a timetable is its own
