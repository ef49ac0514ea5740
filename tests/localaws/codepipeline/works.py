"""`Work` for actions tested by themselves."""

import math
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

from pipeline.localaws.codepipeline.actions.work import Work
from pipeline.localaws.codepipeline.definition import parse
from pipeline.localaws.codepipeline.records import Location
from tests.localaws.codepipeline.declarations import Json, declaration, stage


def work_of(
    document: Json,
    inputs: Mapping[str, Location] | None = None,
    outputs: Mapping[str, Location] | None = None,
    *,
    until: float = math.inf,
    ended: Event | None = None,
) -> Work:
    """What the engine gives to an action; it reaches no service."""
    action = parse(declaration(stage("B", document)), version=1, region="eu-west-1").stages[1].actions[0]
    return Work(
        pipeline="etl",
        execution="1",
        stage="B",
        action=action,
        configuration=action.configuration,
        inputs=inputs or {},
        outputs=outputs or {},
        revisions={"Code": "abc"},
        token="11111111-2222-3333-4444-555555555555",
        region="eu-west-1",
        client=_no_client,
        report=lambda _: None,
        until=until,
        ended=ended or Event(),
        folder=Path(),
    )


def _no_client(service: str) -> Any:
    raise AssertionError(service)
