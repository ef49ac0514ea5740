"""Airflow's names that a file should no longer use, as ruff's Airflow rules know them."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import Remark, Shown
from pipeline.dagtest.rules.apis import CODES
from pipeline.dagtest.worker.modules import asks_for_version
from pipeline.process import CommandError, run

SECONDS = 300.0


def old_names(
    environment: AirflowEnvironment, paths: Sequence[Path], shown: Shown, stop: Event | None = None
) -> Mapping[str, Sequence[Remark]]:
    """File → what ruff says of it, each `CODE sentence`; `# noqa` in a file holds. Once `stop` is set, ruff is ended.

    What a branch holds or imports that asks for the version is left out: it may be right for another one.
    """
    found: defaultdict[str, list[Remark]] = defaultdict(list)
    for entry in _said(environment.ruff, [path.resolve() for path in paths], stop):
        if entry["code"] not in CODES:  # a syntax error: the import tells it
            continue
        if _by_version(entry["filename"]).has(entry):
            continue
        path = shown(entry["filename"])
        message = entry["message"].rstrip(".")
        advice = (entry.get("fix") or {}).get("message")
        text = f"{entry['code']} {message}" + (f". {advice}" if advice else "")
        found[path].append(Remark(text, entry["location"]["row"], path))
    return found


@dataclass(frozen=True)
class _ByVersion:
    """What of a file one version of Airflow or Python runs, and another does not: lines, and names imported there.

    Of a file that is no Python to us, nothing is known: it may be Python to a newer one, which Airflow may run on.
    """

    lines: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    is_known: bool = True

    def has(self, entry: Mapping[str, Any]) -> bool:
        """Whether what ruff says is, or may be, about it."""
        if not self.is_known:
            return True
        named = re.search(r"`[\w.]*?(\w+)`", entry["message"])
        return entry["location"]["row"] in self.lines or (named is not None and named[1] in self.names)


@cache
def _by_version(file: str) -> _ByVersion:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return _ByVersion(is_known=False)
    asking = [node for node in ast.walk(tree) if isinstance(node, ast.If) and asks_for_version(node.test)]
    parts = [part for node in asking for part in (*node.body, *node.orelse)]
    imports = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Import | ast.ImportFrom)]
    return _ByVersion(
        frozenset(line for part in parts for line in range(part.lineno, (part.end_lineno or part.lineno) + 1)),
        frozenset(alias.name.rpartition(".")[2] for node in imports for alias in node.names),
    )


def _said(ruff: Path, paths: Sequence[Path], stop: Event | None) -> Sequence[Mapping[str, Any]]:
    """What ruff says of files and folders. Of a file that ends it, as one does that is too deep, it says nothing."""
    try:
        answer = run(
            [
                *(str(ruff), "check", "--isolated", "--preview", "--no-cache", "--exit-zero", "--quiet"),
                *("--select", ",".join(CODES), "--output-format", "json", *map(str, paths)),
            ],
            timeout=SECONDS,
            stop=stop,
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
    return [*_said(ruff, files[:middle], stop), *_said(ruff, files[middle:], stop)]
