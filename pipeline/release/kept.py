"""Which keys of the bucket a team wants left alone: the patterns of `keep` in the settings. Pure."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from pipeline.names import RELEASE_FILE
from pipeline.release.tree import DAGS_PREFIX


def is_kept(key: str, patterns: Collection[str]) -> bool:
    """Whether a key is left alone. A pattern is relative to `dags/`; its `*` also matches `/`.

    | pattern    | keeps                                                       |
    | ---------- | ----------------------------------------------------------- |
    | `team/*`   | everything in the folder                                    |
    | `team/`    | the same                                                    |
    | `team`     | the same, and a file of that name                           |
    | `*.json`   | JSON files anywhere                                         |
    | any        | never `_release.json`: DAGs start the wrong containers else |
    """
    if key == RELEASE_FILE:
        return False
    path = key.removeprefix(DAGS_PREFIX)
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern.rstrip('/')}/*") for pattern in patterns)
