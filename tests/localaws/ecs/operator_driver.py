"""Runs one task as Airflow does, without its database: in the environment where Airflow is.

    python operator_driver.py SCENARIO.json

Worker, triggerer and worker again, each with a fresh operator as in Airflow. Prints what happened as JSON.
"""

import asyncio
import importlib.util
import inspect
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk.exceptions import TaskDeferred

scenario: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
report: dict[str, Any] = {"xcom": {}, "deferred": False, "error": None, "result": None}


def operator() -> Any:
    """The task of a DAG file with some attributes rendered, or one of the helper's."""
    if path := scenario.get("dag_file"):
        spec = importlib.util.spec_from_file_location("example", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        task = module.dag.get_task(scenario["task"])
        for name, value in scenario["rendered"].items():
            setattr(task, name, value)
        return task
    from fargate import fargate_task, read_release  # type: ignore[import-not-found]  # noqa: PLC0415 - on PYTHONPATH

    task = fargate_task(
        "main",
        command=scenario["command"],
        release=read_release(Path(scenario["release"])),
        waiter_delay=1,
        **scenario.get("arguments", {}),
    )
    return plain(task) if scenario.get("plain") else task


def plain(task: Any) -> EcsRunTaskOperator:
    """The provider's own operator with the arguments that the helper chose."""
    names = inspect.signature(EcsRunTaskOperator.__init__).parameters
    chosen = {name: getattr(task, name) for name in names if name not in ("self", "kwargs") and hasattr(task, name)}
    return EcsRunTaskOperator(task_id="main", aws_conn_id=None, region_name=task.region_name, **chosen)


def context() -> Any:
    ti = SimpleNamespace(
        dag_id="dag",
        task_id="main",
        run_id=scenario.get("run", "run"),
        map_index=-1,
        try_number=scenario.get("try", 1),
        max_tries=1,
        xcom_push=lambda key, value: report["xcom"].update({key: value}),
    )
    return {"ti": ti, "task_instance": ti}


async def trigger_event(deferral: TaskDeferred) -> Any:
    """What the triggerer does; None when the trigger was killed."""
    path, arguments = deferral.trigger.serialize()
    module, _, name = path.rpartition(".")
    defined = __import__(module, fromlist=[name])
    vars(defined).update(FIRST_LOOK_SECONDS=0.0)  # there is no scheduler here that would have to be waited for
    trigger = getattr(defined, name)(**json.loads(json.dumps(arguments)))
    report["trigger"] = path

    async def first_event() -> Any:
        found = None
        async for event in trigger.run():
            found = event.payload
        return found

    running = asyncio.create_task(first_event())
    if "kill_after" not in scenario:
        return await running
    await asyncio.sleep(scenario["kill_after"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await trigger.on_kill()
    return None


try:
    report["result"] = operator().execute(context())
except TaskDeferred as deferral:
    report["deferred"] = True
    report["timeout"] = deferral.timeout.total_seconds() if deferral.timeout else None
    if failure := scenario.get("trigger_fails"):
        method, found = "__fail__", {"error": failure}
    else:
        method, found = deferral.method_name, {"event": asyncio.run(trigger_event(deferral))}
    if method == "__fail__" or found["event"]:
        try:
            report["result"] = operator().resume_execution(method, found, context())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            report["error"] = f"{type(error).__name__}: {error}"
except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
    report["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(report))  # noqa: T201 - its answer
