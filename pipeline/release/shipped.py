"""Which files of the DAG folder are released, by their paths. Pure.

Every file below `dags/` is, except
- names that start with a dot, other than `.airflowignore`, which Airflow reads;
- `__pycache__` and `*.pyc`;
- folders named `tests`;
- `_release.json` at the top, which the pipeline writes itself;
- `requirements.txt`, `startup.sh` and `plugins/` at the top: MWAA takes them from elsewhere in the bucket.

`.airflowignore` excludes nothing here: Airflow does not look for DAGs in those files, but DAGs import and read them.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.names import RELEASE_FILE

_PARTS = frozenset({"requirements.txt", "startup.sh", "plugins"})
_TAKEN_OUT = _PARTS | {PurePosixPath(RELEASE_FILE).name}


def is_shipped(path: str) -> bool:
    """Whether a file is released, by its path below the DAG folder."""
    names = path.split("/")
    return names[0] not in _TAKEN_OUT and not _is_aside(names)


def is_released(path: str) -> bool:
    """The same, or it is in what MWAA takes from elsewhere: whether a release brings the file at all."""
    names = path.split("/")
    return is_shipped(path) or (names[0] in _PARTS and not _is_aside(names))


def _is_aside(names: Sequence[str]) -> bool:
    return "tests" in names[:-1] or any(map(is_left_out, names))


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is left out wherever it is."""
    hidden = name.startswith(".") and name != ".airflowignore"
    return hidden or name == "__pycache__" or name.endswith(".pyc")
