"""Runs `operator_driver.py` where Airflow is, with the local AWS as its AWS."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.localaws.region import LocalRegion

DRIVER = Path(__file__).with_name("operator_driver.py")


def drive(
    airflow: AirflowEnvironment, region: LocalRegion, dags: Path, folder: Path, scenario: dict[str, Any]
) -> dict[str, Any]:
    """What the driver reports, and under `log` all that was printed.

    Args:
        airflow: Where it runs.
        region: Its AWS.
        dags: The DAG folder, with its plugins.
        folder: Takes the scenario.
        scenario: See the driver.
    """
    path = folder / "scenario.json"
    path.write_text(json.dumps(scenario))
    done = subprocess.run(
        [str(airflow.python), str(DRIVER), str(path)],
        env={
            **os.environ,
            **airflow.variables(dags, "eu-west-1"),
            **region.environment(),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "PYTHONPATH": f"{dags}:{dags / 'plugins'}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report | {"log": done.stdout + done.stderr}
