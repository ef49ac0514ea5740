"""Airflow's names that a file should no longer use, as ruff's Airflow rules know them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import Remark, Shown
from pipeline.dagtest.rules.apis import CODES
from pipeline.process import CommandError, run

SECONDS = 300.0


def old_names(environment: AirflowEnvironment, paths: Sequence[Path], shown: Shown) -> Mapping[str, Sequence[Remark]]:
    """File → what ruff says of it, each `CODE sentence`; `# noqa` in a file holds."""
    found: defaultdict[str, list[Remark]] = defaultdict(list)
    for entry in _said(environment.ruff, [path.resolve() for path in paths]):
        if entry["code"] not in CODES:  # a syntax error: the import tells it
            continue
        path = shown(entry["filename"])
        message = entry["message"].rstrip(".")
        advice = (entry.get("fix") or {}).get("message")
        text = f"{entry['code']} {message}" + (f". {advice}" if advice else "")
        found[path].append(Remark(text, entry["location"]["row"], path))
    return found


def _said(ruff: Path, paths: Sequence[Path]) -> Sequence[Mapping[str, Any]]:
    """What ruff says of files and folders. Of a file that ends it, as one does that is too deep, it says nothing."""
    try:
        answer = run(
            [
                *(str(ruff), "check", "--isolated", "--preview", "--no-cache", "--exit-zero", "--quiet"),
                *("--select", ",".join(CODES), "--output-format", "json", *map(str, paths)),
            ],
            timeout=SECONDS,
        )
    except CommandError as error:
        if error.code >= 0:  # not by a signal
            raise
    else:
        said: Sequence[Mapping[str, Any]] = json.loads(answer or "[]")
        return said
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    if len(files) < 2:  # noqa: PLR2004 - there is nothing to halve
        return []
    middle = len(files) // 2
    return [*_said(ruff, files[:middle]), *_said(ruff, files[middle:])]
