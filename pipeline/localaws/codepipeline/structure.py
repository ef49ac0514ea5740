"""Whether the parts of a declaration fit together: what `CreatePipeline` checks across stages and actions."""

from collections.abc import Iterable
from typing import Final

from pipeline.localaws.codepipeline.definition import Pipeline, require
from pipeline.localaws.codepipeline.variables import references

FEWEST_STAGES: Final = 2
BUILT_IN_NAMESPACES: Final = frozenset({"codepipeline", "variables"})


def check(pipeline: Pipeline) -> Pipeline:
    """The pipeline itself.

    | rule                                                                    |
    | ----------------------------------------------------------------------- |
    | there are two stages or more; their names differ, as do those of a stage's actions |
    | the first stage holds source actions and only they; no other stage does |
    | every artifact has one producer, which runs before those who use it     |
    | every `#{namespace.variable}` names the namespace of an earlier action, or a built-in one |

    Raises:
        DefinitionError: The first rule that is broken, and by what.
    """
    _check_stages(pipeline)
    _check_artifacts(pipeline)
    _check_references(pipeline)
    return pipeline


def _check_stages(pipeline: Pipeline) -> None:
    count = len(pipeline.stages)
    require(
        count >= FEWEST_STAGES,
        "InvalidStructureException",
        f"Pipeline has only {count} stage(s). There should be a minimum of {FEWEST_STAGES} stages in a pipeline",
    )
    _unique("stage name", [stage.name for stage in pipeline.stages], "InvalidStageDeclarationException")
    for position, stage in enumerate(pipeline.stages):
        _unique(
            f"action name in stage {stage.name}", [a.name for a in stage.actions], "InvalidActionDeclarationException"
        )
        for action in stage.actions:
            is_source = action.type.category == "Source"
            require(
                is_source == (position == 0),
                "InvalidStructureException",
                f"Pipeline stage {stage.name}, action {action.name}: the first stage holds source actions, and only"
                f" they; this action is of the category {action.type.category}",
            )


def _unique(what: str, names: Iterable[str], code: str) -> None:
    seen: set[str] = set()
    for name in names:
        require(name not in seen, code, f"every {what} must be unique; {name!r} is used more than once")
        seen.add(name)


def _check_artifacts(pipeline: Pipeline) -> None:
    """Every artifact has one producer, and it runs before those who use it."""
    produced: set[str] = set()
    for stage in pipeline.stages:
        for group in stage.orders():
            for action in group:
                for artifact in action.inputs:
                    require(
                        artifact in produced,
                        "InvalidActionDeclarationException",
                        f"Input artifact {artifact} of action {action.name} in stage {stage.name} is not the output of"
                        " any action before it",
                    )
            for action in group:
                for artifact in action.outputs:
                    require(
                        artifact not in produced,
                        "InvalidStructureException",
                        f"Output artifact names must be unique in a pipeline; {artifact} is used more than once",
                    )
                    produced.add(artifact)


def _check_references(pipeline: Pipeline) -> None:
    """Every `#{namespace.variable}` names a namespace that an earlier action fills, or one that is built in."""
    known = set(BUILT_IN_NAMESPACES)
    for stage in pipeline.stages:
        for group in stage.orders():
            for action in group:
                for key, value in action.configuration.items():
                    for namespace, text in references(value):
                        require(
                            namespace in known,
                            "InvalidActionDeclarationException",
                            "Valid format for a pipeline execution variable reference is a namespace and a key"
                            " separated by a period (.). The following references a namespace that does not exist."
                            f" StageName=[{stage.name}], ActionName=[{action.name}],"
                            f" ActionConfigurationKey=[{key}], VariableReferenceText=[{text}]",
                        )
            for action in group:
                require(
                    not action.namespace or action.namespace not in known,
                    "InvalidActionDeclarationException",
                    f"action {action.name} in stage {stage.name}: the namespace {action.namespace} is used already",
                )
                known |= {action.namespace} - {""}
