"""Airflow's names that a file should no longer use, as ruff's Airflow rules know them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import Remark, Shown
from pipeline.dagtest.rules.apis import CODES
from pipeline.process import run

SECONDS = 300.0


def old_names(environment: AirflowEnvironment, paths: Sequence[Path], shown: Shown) -> Mapping[str, Sequence[Remark]]:
    """File → what ruff says of it, each `CODE sentence`; `# noqa` in a file holds."""
    answer = run(
        [
            *(str(environment.ruff), "check", "--isolated", "--preview", "--no-cache", "--exit-zero", "--quiet"),
            *("--select", ",".join(CODES), "--output-format", "json", *(str(path.resolve()) for path in paths)),
        ],
        timeout=SECONDS,
    )
    found: defaultdict[str, list[Remark]] = defaultdict(list)
    for entry in json.loads(answer or "[]"):
        if entry["code"] not in CODES:  # a syntax error: the import tells it
            continue
        path = shown(entry["filename"])
        message = entry["message"].rstrip(".")
        advice = (entry.get("fix") or {}).get("message")
        text = f"{entry['code']} {message}" + (f". {advice}" if advice else "")
        found[path].append(Remark(text, entry["location"]["row"], path))
    return found
