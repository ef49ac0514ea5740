"""What the DAGs are, as others read it."""

import hashlib
import json

from pipeline.dagtest.facts import Dag, DagFile, Schedule, Task
from pipeline.dagtest.structures import document


def test_tasks_dependencies_and_schedules_are_told_with_the_file_they_were_read_from() -> None:
    tasks = (Task("ingest", "EcsRunTaskOperator", downstream=("report",)), Task("report", "EcsRunTaskOperator"))
    daily = Dag("daily", tasks=tasks, schedule=Schedule("CronDataIntervalTimetable", summary="0 0 * * *"))
    by_hand = Dag("by_hand", schedule=Schedule("NullTimetable", summary="None"))
    files = (DagFile("dags/shop/orders.py", dags=(daily, by_hand)), DagFile("dags/assets.py"))
    contents = {"dags/shop/orders.py": b"one", "dags/assets.py": b"two"}
    assert json.loads(document(files, contents, "dags")) == {
        "format": 1,
        "files": {
            "shop/orders.py": hashlib.sha256(b"one").hexdigest(),
            "assets.py": hashlib.sha256(b"two").hexdigest(),
        },
        "dags": {
            "daily": {
                "file": "shop/orders.py",
                "schedule": "0 0 * * *",
                "tasks": {
                    "ingest": {"operator": "EcsRunTaskOperator", "downstream": ["report"]},
                    "report": {"operator": "EcsRunTaskOperator", "downstream": []},
                },
            },
            "by_hand": {"file": "shop/orders.py", "schedule": None, "tasks": {}},
        },
    }
