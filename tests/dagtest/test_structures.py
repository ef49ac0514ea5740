"""What the DAGs are, as others read it."""

import json

from pipeline.dagtest.facts import Dag, DagFile, Schedule, Task
from pipeline.dagtest.structures import document


def test_tasks_dependencies_and_schedules_are_told_with_every_file_beside_them() -> None:
    tasks = (Task("ingest", "EcsRunTaskOperator", downstream=("report",)), Task("report", "EcsRunTaskOperator"))
    daily = Dag("daily", tasks=tasks, schedule=Schedule("CronDataIntervalTimetable", summary="0 0 * * *"))
    by_hand = Dag("by_hand", schedule=Schedule("NullTimetable", summary="None"))
    files = (DagFile("dags/shop/orders.py", dags=(daily, by_hand)), DagFile("dags/assets.py"))
    checksums = {"shop/orders.py": "aa", "assets.py": "bb", "shop/orders.sql": "cc"}
    assert json.loads(document({"dev": files, "prod": files[1:]}, checksums, "dags")) == {
        "format": 2,
        "files": {"shop/orders.py": "aa", "assets.py": "bb", "shop/orders.sql": "cc"},
        "dags": {
            "dev": {
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
            "prod": {},
        },
    }
