"""The variables of an environment's Airflow: what MWAA forces, what it suggests, what the environment sets. Pure.

Source of the layers and of what is forced: aws/amazon-mwaa-docker-images, mwaa/config/{airflow,setup_environment}.py.
There the executor is Celery's and the database PostgreSQL; here LocalExecutor and SQLite stand for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Tasks at once on one worker of a class (MWAA user guide, environment-class): what a laptop runs of them.
_TASKS_AT_ONCE: Final = {
    "mw1.micro": 3,
    "mw1.small": 5,
    "mw1.medium": 10,
    "mw1.large": 20,
    "mw1.xlarge": 40,
    "mw1.2xlarge": 80,
}
# Beyond this many, idle workers alone would fill a laptop's memory; each holds about 10 MB of its own.
_MOST_AT_ONCE: Final = 16

# A startup script may not change these (setup_environment.py, `_is_protected_os_environ`), as far as they exist here.
PROTECTED: Final = frozenset(
    {
        "AIRFLOW_ENV_ID",
        "AIRFLOW_ENV_NAME",
        "AIRFLOW_HOME",
        "AIRFLOW_VERSION",
        "AIRFLOW__API__BASE_URL",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "CUSTOMER_ACCOUNT_ID",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
    }
)
# What of the machine's own variables an Airflow needs: to find programs and to reach the network.
_OF_THE_MACHINE: Final = frozenset(
    {"HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
     "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
)  # fmt: skip


@dataclass(frozen=True)
class Secrets:
    """What an environment keeps from its first start to its end.

    Attributes:
        fernet: Encrypts connections and variables in the database; 32 bytes, url-safe base64.
        jwt: Signs the tokens of the REST API and of tasks; at least 64 bytes for Airflow's HS512.
        session: Signs the user interface's sessions.
    """

    fernet: str
    jwt: str
    session: str


@dataclass(frozen=True)
class Place:
    """Where one Airflow runs.

    Attributes:
        home: AIRFLOW_HOME.
        installation: The Python environment it is installed in.
        port: The loopback port of its API server.
    """

    home: Path
    installation: Path
    port: int


def variables(
    environment: Mapping[str, Any],
    place: Place,
    secrets: Secrets,
    *,
    machine: Mapping[str, str],
    aws: Mapping[str, str],
    startup: Mapping[str, str],
) -> dict[str, str]:
    """Every variable of the environment's Airflow processes; later layers win, as in MWAA.

    Args:
        environment: As the API describes it.
        place: Where it runs.
        secrets: Its own.
        machine: This machine's variables.
        aws: What points AWS clients at the local AWS.
        startup: What the startup script exported.
    """
    return {
        **{name: value for name, value in machine.items() if name in _OF_THE_MACHINE},
        **_suggested(environment),
        **{name: value for name, value in startup.items() if name not in PROTECTED},
        **options(environment.get("AirflowConfigurationOptions", {})),
        **aws,
        **_forced(environment, place, secrets, machine),
    }


def options(configured: Mapping[str, str]) -> dict[str, str]:
    """Airflow's variables for configuration options.

    >>> options({"core.default_timezone": "utc"})
    {'AIRFLOW__CORE__DEFAULT_TIMEZONE': 'utc'}
    """
    found = {}
    for option, value in configured.items():
        section, _, key = option.rpartition(".")
        found[f"AIRFLOW__{section.replace('.', '_')}__{key}".upper()] = value
    return found


def tasks_at_once(environment: Mapping[str, Any]) -> int:
    """How many tasks run at once: one worker of the class full, or as many as a laptop bears."""
    return min(_TASKS_AT_ONCE.get(environment.get("EnvironmentClass", ""), 5), _MOST_AT_ONCE)


def _suggested(environment: Mapping[str, Any]) -> dict[str, str]:
    """What an environment's own options may change."""
    return {
        # MWAA's suggestions
        "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "1800.0",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Ours, so that two idle environments leave a laptop alone. A file that changed is parsed at the next look at
        # the folder, whatever the interval; the copying of DAGs sees to those whose helper changed.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "2",
        "AIRFLOW__CORE__PARALLELISM": str(tasks_at_once(environment)),
        # A task whose process is gone shows as failed within a minute, not five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    }


def _forced(
    environment: Mapping[str, Any], place: Place, secrets: Secrets, machine: Mapping[str, str]
) -> dict[str, str]:
    address = f"http://127.0.0.1:{place.port}"
    name = str(environment["Name"])
    return {
        "PATH": f"{place.installation / 'bin'}:{machine.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        "VIRTUAL_ENV": str(place.installation),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPYCACHEPREFIX": str(place.installation / "bytecode"),
        "AIRFLOW_HOME": str(place.home),
        "AIRFLOW_VERSION": str(environment["AirflowVersion"]),
        "AIRFLOW_ENV_NAME": name,
        "AIRFLOW_ENV_ID": name,
        "AWS_EXECUTION_ENV": "Amazon_MWAA",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(place.home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(place.home / "plugins"),
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        # As MWAA's image on a laptop does: on loopback, whoever comes is an administrator.
        "AIRFLOW__CORE__AUTH_MANAGER":
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{place.home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(place.home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(place.home / "logs" / "dag_processor"),
        "AIRFLOW__DAG_PROCESSOR__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(place.home / "logs" / "dag_processor"),
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(place.port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.session,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt,
        "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "86400",
    }  # fmt: skip
