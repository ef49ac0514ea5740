"""How long an Airflow may take to show a release, by the options it is configured with. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.release.verify import Patience

# Option → Airflow's default, in seconds. Until a file is looked for, parsed once more, or its DAGs are gone, at most so
# long passes, one after the other (Airflow 3 configuration reference).
_PARSED_AGAIN = "dag_processor.min_file_process_interval"
_DEFAULTS = {
    "dag_processor.refresh_interval": 300.0,
    _PARSED_AGAIN: 30.0,
    "dag_processor.stale_dag_threshold": 50.0,
    "scheduler.parsing_cleanup_interval": 60.0,
}
# Three quarters of what the build of a release may take (`infra/steps.py`): one that is cut off takes nothing back.
_MOST = 5400.0


def of(options: Mapping[str, str]) -> Patience:
    """The patience that an Airflow with these options needs: what is slower than by default takes so much longer.

    An import error of a half copied folder stays until its file is parsed again, so nothing is settled before that.

    >>> of({"dag_processor.min_file_process_interval": "900"}).settled
    945.0

    Args:
        options: `airflow_options` of the environment. What is no number is Airflow's to complain about.
    """
    usual = Patience()
    slower = {
        name: given - default
        for name, default in _DEFAULTS.items()
        if (given := _seconds(options.get(name), default)) > default
    }
    return replace(
        usual,
        settled=min(_MOST, usual.settled + slower.get(_PARSED_AGAIN, 0)),
        deadline=min(_MOST, usual.deadline + sum(slower.values())),
        because=", ".join(f"{name} is {options[name]}" for name in slower),
    )


def _seconds(given: str | None, default: float) -> float:
    try:
        return default if given is None else float(given)
    except ValueError:
        return default
