"""What the steps before left for the dossier: DAG structures, test results, images. Absent files are no error.

| file in the folder | written by                | read for                          |
| ------------------ | ------------------------- | --------------------------------- |
| `dags.json`        | `pipeline test dags`      | tasks, dependencies and schedules |
| `*.xml`            | every test step, as JUnit | the tests of this commit          |
| `images.json`      | `pipeline images build`   | images, reasons and sizes         |

Folders below are searched too: each step's artifact is unpacked into one of its own.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pipeline.errors import PipelineError
from pipeline.release import structure
from pipeline.release.structure import Structures

_NAMED = 20  # failed tests told by name


@dataclass(frozen=True)
class Suite:
    """Results of the tests of one report file."""

    name: str
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image of this commit: `size` in bytes as ECR counts, None when it is not known.

    `task` is False for one that others are only based on: no release names it.
    """

    container: str
    tag: str
    reason: str
    size: int | None = None
    task: bool = True


@dataclass(frozen=True)
class Evidence:
    """All of it. `structures` and `images` are None where no step left them."""

    structures: Structures | None = None
    tests: tuple[Suite, ...] = ()
    images: tuple[Image, ...] | None = None


def read(folder: Path) -> Evidence:
    """What is in a folder, which need not exist.

    Raises:
        PipelineError: A file is there, but not what it should be.
    """
    structures = read_structures(folder)
    images = next(_files(folder, "images.json"), None)
    return Evidence(
        structures=structures,
        tests=tuple(found for path in _files(folder, "*.xml") if (found := _tests(path)) is not None),
        images=None if images is None else _images(images),
    )


def read_structures(folder: Path) -> Structures | None:
    """The DAG structures in a folder, None when there are none.

    Raises:
        PipelineError: The file is not what it should be.
    """
    path = next(_files(folder, "dags.json"), None)
    return None if path is None else structure.parse(path.read_bytes(), where=str(path))


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    # Not rglob: CDK puts each step's artifact here as a link to a folder.
    found = (Path(root) / name for root, _, names in os.walk(folder, followlinks=True) for name in names)
    yield from sorted(path for path in found if path.match(pattern))


def _tests(path: Path) -> Suite | None:
    """A JUnit report; None for XML of another kind, such as coverage."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - written by our own steps of this commit
    except ET.ParseError as error:
        raise PipelineError(f"this is no XML: {error}", where=str(path)) from None
    if root.tag not in ("testsuites", "testsuite"):
        return None
    cases = list(root.iter("testcase"))
    failures = [_name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Suite(
        name=path.stem,
        passed=len(cases) - len(failures) - skipped,
        failed=len(failures),
        skipped=skipped,
        failures=tuple(failures[:_NAMED]),
    )


def _name(case: ET.Element) -> str:
    return " ".join(filter(None, (case.get("classname"), case.get("name"))))


def _images(path: Path) -> tuple[Image, ...]:
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_bytes())
        return tuple(
            Image(
                container=entry["name"],
                tag=entry["tag"],
                reason=entry.get("reason") or "",
                size=entry.get("size"),
                task=entry["task"],
            )
            for entry in entries
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"this is no list of images: {type(error).__name__}: {error}",
            where=str(path),
            mend="`pipeline images build --images-file FILE` writes it.",
        ) from None
