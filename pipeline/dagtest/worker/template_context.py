"""What templates may use in a run ("Templates reference" of Airflow), by Airflow's version."""

from collections.abc import Mapping
from typing import Any

import airflow
import pendulum

from pipeline.dagtest.worker.anything import Anything

DAY = pendulum.datetime(2026, 1, 2)
DAY_NODASH = DAY.format("YYYYMMDD")
IS_AIRFLOW_2 = airflow.__version__.startswith("2.")
# What differs from run to run, or is not there before one.
LATER = (
    *("ti", "task_instance", "var", "conn", "dag_run", "inlets", "outlets", "inlet_events", "outlet_events"),
    *("prev_data_interval_start_success", "prev_data_interval_end_success", "prev_start_date_success"),
    *("prev_end_date_success", "map_index_template", "expanded_ti_count"),
)
LATER_IN_2 = ("triggering_dataset_events", "prev_execution_date_success", "conf")
LATER_IN_3 = (
    *("triggering_asset_events", "task_state_store", "asset_state_store", "partition_key", "partition_date"),
    "task_reschedule_count",
)


def _day(prefix: str, day: Any) -> dict[str, str]:
    return {f"{prefix}ds": day.to_date_string(), f"{prefix}ds_nodash": day.format("YYYYMMDD")}


DATES = {
    "data_interval_start": DAY,
    "data_interval_end": DAY.add(days=1),
    "logical_date": DAY,
    **_day("", DAY),
    "ts": DAY.isoformat(),
    "ts_nodash": DAY.format("YYYYMMDD[T]HHmmss"),
    "ts_nodash_with_tz": DAY.isoformat().replace("-", "").replace(":", ""),
}
# Timetables of Airflow 3 that start runs without a date: all, or those that assets start.
WITHOUT_DATES = frozenset(
    {"AssetTriggeredTimetable", "PartitionedAssetTimetable", "CronPartitionTimetable", "AssetOrTimeSchedule"}
)
DATES_IN_2 = {
    "execution_date": DAY,
    "prev_execution_date": DAY.subtract(days=1),
    "next_execution_date": DAY.add(days=1),
    **_day("prev_", DAY.subtract(days=1)),
    **_day("yesterday_", DAY.subtract(days=1)),
    **_day("next_", DAY.add(days=1)),
    **_day("tomorrow_", DAY.add(days=1)),
}


def context_of_dag(dag: Any) -> dict[str, Any]:
    """The names that all tasks of a DAG have, with sample values.

    name                                Airflow 2   Airflow 3
    ds, data_interval_start, ...        always      unless assets or partitions start runs: those have no data interval
    execution_date, yesterday_ds, ...   always      never
    conf                                always      never
    triggering_dataset_events           always      never: triggering_asset_events
    """
    later = Anything()
    known: dict[str, Any] = {
        **dict.fromkeys((*LATER, *(LATER_IN_2 if IS_AIRFLOW_2 else LATER_IN_3)), later),
        "macros": _macros(),
        "dag": dag,
        "run_id": f"scheduled__{DAY.isoformat()}",
        "test_mode": False,
    }
    if IS_AIRFLOW_2:
        known |= DATES | DATES_IN_2
    elif type(dag.timetable).__name__ not in WITHOUT_DATES:
        known |= DATES
    return known | dict(getattr(dag, "user_defined_macros", None) or {})


def context_of_task(task: Any) -> Mapping[str, Any]:
    """The names whose values are a task's own."""
    return {"task": task, "task_instance_key_str": f"{task.dag_id}__{task.task_id}__{DAY_NODASH}"}


def _macros() -> Any:
    try:
        from airflow.sdk.execution_time import macros  # noqa: PLC0415 - only a file with templates needs it
    except ImportError:  # before Airflow 3
        from airflow import macros  # noqa: PLC0415 - as above

    def of_plugin(name: str) -> Any:
        """Of a plugin, which is a module in `macros`. Airflow adds them for every run; loading plugins takes long."""
        if not name.startswith("__"):
            _integrate_macros_plugins()
        if name not in vars(macros):
            raise AttributeError(name)
        return vars(macros)[name]

    vars(macros).setdefault("__getattr__", of_plugin)
    return macros


def _integrate_macros_plugins() -> None:
    """Done once, whoever asks."""
    try:
        from airflow.sdk.plugins_manager import integrate_macros_plugins  # noqa: PLC0415 - since 3.2
    except ImportError:
        from airflow.plugins_manager import integrate_macros_plugins  # noqa: PLC0415 - before 3.2
    integrate_macros_plugins()
