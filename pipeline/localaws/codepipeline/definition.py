"""A pipeline's declaration as typed values, each valid by itself; `structure` checks that they fit together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from pipeline.localaws.codepipeline.providers import ActionType, Provider, provider_of

NAME: Final = re.compile(r"[A-Za-z0-9.@\-_]{1,100}")  # API reference: PipelineName, StageName, ActionName
NAMESPACE: Final = re.compile(r"[A-Za-z0-9@\-_]{1,100}")
GREATEST_RUN_ORDER: Final = 999


class Mode(StrEnum):
    """How several executions share a pipeline (user guide, "Set or change the pipeline execution mode")."""

    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"
    PARALLEL = "PARALLEL"


class DefinitionError(Exception):
    """A declaration that CodePipeline refuses: the API's error code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Action:
    """One action of a stage. `role` is "" when it runs in the pipeline's own; `timeout` is in minutes, 0 if not set."""

    name: str
    type: ActionType
    run_order: int
    configuration: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    role: str
    namespace: str
    timeout: int

    @property
    def provider(self) -> Provider:
        """What is known of the service behind it."""
        return provider_of(self.type)


@dataclass(frozen=True)
class Stage:
    """A stage. `retry` is the mode in which it is retried once by itself when it fails; "" when it is not."""

    name: str
    actions: tuple[Action, ...]
    retry: str = ""

    def action(self, name: str) -> Action | None:
        """The action of that name."""
        return next((action for action in self.actions if action.name == name), None)

    def orders(self) -> tuple[tuple[Action, ...], ...]:
        """The actions in groups that run at the same time, in the order the groups run."""
        ordered = sorted(self.actions, key=lambda action: action.run_order)
        return tuple(tuple(group) for _, group in groupby(ordered, key=lambda action: action.run_order))


@dataclass(frozen=True)
class Variable:
    """A variable of the pipeline. `default` is None when every start must give a value."""

    name: str
    default: str | None


@dataclass(frozen=True)
class Pipeline:
    """A declaration. `document` is what `GetPipeline` answers, defaults filled in."""

    name: str
    version: int
    role: str
    bucket: str
    mode: Mode
    stages: tuple[Stage, ...]
    variables: tuple[Variable, ...]
    document: Mapping[str, Any]

    def stage(self, name: str) -> Stage | None:
        """The stage of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def index(self, stage: str) -> int:
        """The position of a stage that exists."""
        return [known.name for known in self.stages].index(stage)


def parse(document: Mapping[str, Any], *, version: int, region: str) -> Pipeline:
    """A pipeline from the API's `PipelineDeclaration`.

    Args:
        document: The declaration, already of the right shape (botocore's model).
        version: The version it gets.
        region: The region the pipeline runs in; actions in others are refused.

    Raises:
        DefinitionError: What CodePipeline refuses, and by name what the local AWS does not execute.
    """
    name = document["name"]
    require(NAME.fullmatch(name), "ValidationException", f"{name!r} is not a valid pipeline name ({NAME.pattern})")
    _refuse_unknown(document)
    stages = tuple(_stage(stage, region) for stage in document["stages"])
    return Pipeline(
        name=name,
        version=version,
        role=document["roleArn"],
        bucket=_bucket(document, region),
        mode=Mode(document.get("executionMode", Mode.SUPERSEDED)),
        stages=stages,
        variables=tuple(Variable(v["name"], v.get("defaultValue")) for v in document.get("variables", ())),
        document=_with_defaults(document, version),
    )


def require(condition: object, code: str, message: str) -> None:
    """Refuse a declaration unless a condition holds."""
    if not condition:
        raise DefinitionError(code, message)


def _refuse_unknown(document: Mapping[str, Any]) -> None:
    if document.get("triggers"):
        raise DefinitionError(
            "InvalidStructureException", "the local AWS does not run triggers: they need a CodeStarSourceConnection"
        )


def _bucket(document: Mapping[str, Any], region: str) -> str:
    one: Mapping[str, Any] | None = document.get("artifactStore")
    several: Mapping[str, Any] | None = document.get("artifactStores")
    require(
        (one is None) != (several is None),
        "InvalidStructureException",
        "Pipeline must have either artifactStore or artifactStores, and not both",
    )
    store = one or (several or {}).get(region, {})
    require(store, "InvalidStructureException", f"artifactStores has no artifact store for the region {region}")
    return str(store["location"])


def _stage(document: Mapping[str, Any], region: str) -> Stage:
    name = document["name"]
    code = "InvalidStageDeclarationException"
    require(NAME.fullmatch(name), code, f"{name!r} is not a valid stage name ({NAME.pattern})")
    for feature in ("blockers", "beforeEntry", "onSuccess"):
        require(not document.get(feature), code, f"stage {name}: the local AWS does not implement {feature}")
    failure = document.get("onFailure", {})
    require(not failure.get("conditions"), code, f"stage {name}: the local AWS does not implement onFailure.conditions")
    result = failure.get("result", "FAIL")
    require(
        result in {"FAIL", "RETRY"}, code, f"stage {name}: the local AWS does not implement onFailure.result {result}"
    )
    retry = failure.get("retryConfiguration", {}).get("retryMode", "FAILED_ACTIONS") if result == "RETRY" else ""
    require(document["actions"], code, f"stage {name} has no action: at least one is needed")
    return Stage(name, tuple(_action(action, name, region) for action in document["actions"]), retry)


def _action(document: Mapping[str, Any], stage: str, region: str) -> Action:
    name = document["name"]
    place = f"action {name} in stage {stage}"
    code = "InvalidActionDeclarationException"
    require(NAME.fullmatch(name), code, f"{name!r} is not a valid action name ({NAME.pattern})")
    for feature in ("commands", "outputVariables", "environmentVariables"):
        require(not document.get(feature), code, f"{place}: the local AWS does not implement {feature} of an action")
    where = document.get("region", region)
    require(where == region, code, f"{place}: it is in the region {where}; the local AWS has only {region}")
    order = document.get("runOrder", 1)
    require(1 <= order <= GREATEST_RUN_ORDER, code, f"{place}: run order {order} is not between 1 and 999")
    namespace = document.get("namespace", "")
    require(not namespace or NAMESPACE.fullmatch(namespace), code, f"{place}: {namespace!r} is not a valid namespace")
    action = Action(
        name=name,
        type=ActionType(**document["actionTypeId"]),
        run_order=order,
        configuration=dict(document.get("configuration", {})),
        inputs=tuple(artifact["name"] for artifact in document.get("inputArtifacts", ())),
        outputs=tuple(artifact["name"] for artifact in document.get("outputArtifacts", ())),
        role=document.get("roleArn", ""),
        namespace=namespace,
        timeout=document.get("timeoutInMinutes", 0),
    )
    try:
        problem = action.provider.problem(action.configuration, len(action.inputs), len(action.outputs))
    except KeyError:
        raise DefinitionError(
            code, f"{place}: the local AWS does not execute actions of the type {action.type.words()}"
        ) from None
    require(not problem, code, f"{place}: {problem}")
    return action


def _with_defaults(document: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """The declaration as `GetPipeline` shows it."""
    empty: dict[str, Any] = {"runOrder": 1, "configuration": {}, "outputArtifacts": [], "inputArtifacts": []}
    stages = [
        {**stage, "actions": [{**empty, **action} for action in stage["actions"]]} for stage in document["stages"]
    ]
    given = {key: value for key, value in document.items() if value is not None}
    return {"executionMode": "SUPERSEDED", "pipelineType": "V1", **given, "stages": stages, "version": version}
