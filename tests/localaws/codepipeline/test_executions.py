"""Executions as a client of the API sees them."""

from tests.localaws.codepipeline.declarations import build, declaration, stage
from tests.localaws.codepipeline.world import World


def test_a_new_pipeline_runs_at_once(world: World) -> None:
    commit = world.commit('the "first" one\n\nwith a body')
    execution = world.create(declaration(stage("Build", build("compile"))))
    assert world.ends(execution) == "Succeeded", world.actions(execution)
    row = world.executions()[0]
    assert row["trigger"]["triggerType"] == "CreatePipeline"
    assert [(r["actionName"], r["revisionId"]) for r in row["sourceRevisions"]] == [("etl", commit)]
    assert world.statuses(execution) == {"etl": "Succeeded", "compile": "Succeeded"}
