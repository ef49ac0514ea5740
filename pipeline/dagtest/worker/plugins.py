"""Import the plugins as Airflow does at its start, and print which could not be: JSON, file → message.

Started as a program of its own, since a plugin may do anything.
"""

import json

from airflow import plugins_manager


def errors() -> dict[str, str]:
    """What Airflow noted, which on MWAA only its web page shows."""
    if hasattr(plugins_manager, "get_import_errors"):  # since 3.2
        found = plugins_manager.get_import_errors()
    else:
        plugins_manager.ensure_plugins_loaded()
        found = plugins_manager.import_errors
    return {str(file): str(message) for file, message in found.items()}


if __name__ == "__main__":
    print(f"\n{json.dumps(errors())}")  # noqa: T201 - the answer: the last line, whatever the plugins print
