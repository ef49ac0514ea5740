"""Projects to test DAGs in: the real helper and a real Airflow, shared with the developer's own environment."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from click.testing import CliRunner, Result

from pipeline.dagtest.airflow_environment import FOLDER, ensure
from pipeline.dagtest.commands import dags

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW = "3.3.1"


@dataclass(frozen=True)
class Run:
    """One run of `pipeline test dags`: how it ended, and its report by file and rule."""

    result: Result
    cases: Mapping[tuple[str, str], ET.Element]

    def said(self, kind: str = "failure") -> dict[tuple[str, str], str]:
        """(file's name, rule) → the message of each case that failed, or was skipped."""
        return {
            (Path(path).name, rule): found.get("message", "")
            for (path, rule), case in self.cases.items()
            if (found := case.find(kind)) is not None
        }


def make_project(folder: Path, files: Mapping[str, str | bytes], airflow: str = AIRFLOW, **dag_tests: Any) -> Path:
    """A project with these files in its DAG folder, two containers and these settings of `dag_tests`."""
    ensure(ROOT, airflow)
    folder.mkdir(exist_ok=True)
    settings = json.loads((ROOT / "cdk.json").read_text())
    settings["context"]["pipeline"]["dag_tests"] = dag_tests
    settings["context"]["pipeline"]["airflow"]["version"] = airflow
    (folder / "cdk.json").write_text(json.dumps(settings))
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "fargate.py", folder / "dags")
    shutil.copy(ROOT / "dags" / "requirements.txt", folder / "dags")
    shutil.copytree(ROOT / "dags" / "plugins", folder / "dags" / "plugins")  # the helper's trigger
    (folder / "dags" / ".airflowignore").write_text("fargate.py\nplugins/\n")
    for name in ("ingest", "transform"):
        (folder / "containers" / name).mkdir(parents=True)
        (folder / "containers" / name / "Dockerfile").touch()
    # Links to each environment, not to their folder: homes and what is kept of earlier runs are each project's own.
    (folder / FOLDER).mkdir()
    for entry in (ROOT / FOLDER).iterdir():
        if entry.name not in ("results", "home"):
            (folder / FOLDER / entry.name).symlink_to(entry)
    write(folder, files)
    return folder


def write(project: Path, files: Mapping[str, str | bytes]) -> None:
    """Put these files into the DAG folder."""
    for name, content in files.items():
        path = project / "dags" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def run(project: Path, *arguments: str) -> Run:
    """`pipeline test dags` in the project."""
    before = Path.cwd()
    os.chdir(project)
    try:
        result = CliRunner().invoke(dags, arguments)
        root = ET.parse(project / "reports" / "dags.xml").getroot()  # noqa: S314 - written a moment ago
    finally:
        os.chdir(before)
    return Run(result, {(case.get("classname", ""), case.get("name", "")): case for case in root.iter("testcase")})
