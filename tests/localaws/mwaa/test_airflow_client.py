from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.localaws.mwaa.airflow_client import AirflowClient, AirflowSilentError, sick
from tests.localaws.conftest import free_port

STARTED = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-11-23T11:59:50+00:00", "2026-11-23T12:00:05+00:00"


def health(**changed: Any) -> dict[str, Any]:
    parts = {
        name: {"status": "healthy", f"latest_{name}_heartbeat": AFTER}
        for name in ("scheduler", "triggerer", "dag_processor")
    }
    return {"metadatabase": {"status": "healthy"}, **parts, **changed}


def test_an_airflow_whose_components_all_beat_is_healthy() -> None:
    assert sick(health(), STARTED) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"metadatabase": {"status": "unhealthy"}}, "metadatabase: unhealthy"),
        ({"triggerer": {"status": None, "latest_triggerer_heartbeat": None}}, "triggerer: starting"),
        ({"scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": AFTER}}, "scheduler: unhealthy"),
        ({"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": BEFORE}}, "scheduler: starting"),
    ],
)
def test_a_component_that_is_not_proven_healthy_is_named(changed: dict[str, Any], expected: str) -> None:
    assert sick(health(**changed), STARTED) == (expected,)


def test_nothing_is_healthy_that_says_nothing() -> None:
    assert len(sick({}, STARTED)) == 4


def test_an_airflow_that_does_not_answer_is_an_error_of_its_own() -> None:
    with pytest.raises(AirflowSilentError, match="does not answer on port"):
        AirflowClient(free_port()).health()
