"""What the steps before left for the dossier: DAG structures, test results, images. Absent files are no error.

| file in the folder | written by                | read for                          |
| ------------------ | ------------------------- | --------------------------------- |
| `dags.json`        | `pipeline test dags`      | tasks, dependencies and schedules |
| `*.xml`            | every test step, as JUnit | the tests of this commit          |
| `images.json`      | `pipeline images build`   | images, reasons and sizes         |

Folders below are searched too: each step's artifact is unpacked into one of its own.

In the pipeline they are of this very execution. On a laptop they may be of last year: what is older than the files that
it speaks of speaks for others. `dags.json` needs no such look, for it names its files by their digests.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pipeline.errors import PipelineError
from pipeline.release import structure
from pipeline.release.shipped import is_left_out
from pipeline.release.structure import Structures

_NAMED = 20  # failed tests told by name
_SPOKEN_OF = ("dags", "containers", "cdk.json")  # of a project, by the files above


@dataclass(frozen=True)
class Suite:
    """Results of the tests of one report file; `older` than the files that were tested, it is about others."""

    name: str
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()
    older: bool = False


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
    """All of it. `structures` and `images` are None where no step left them; `images_unknown` says why they are."""

    structures: Structures | None = None
    tests: tuple[Suite, ...] = ()
    images: tuple[Image, ...] | None = None
    images_unknown: str = "no step left images.json"


def read(folder: Path, changed: float | None = None) -> Evidence:
    """What is in a folder, which need not exist.

    Args:
        folder: The folder.
        changed: When the files that it speaks of changed last, in seconds since 1970; None where it cannot be older.

    Raises:
        PipelineError: A file is there, but not what it should be.
    """
    found = Evidence(
        structures=read_structures(folder),
        tests=tuple(
            replace(suite, older=_is_older(path, changed))
            for path in _files(folder, "*.xml")
            if (suite := _tests(path)) is not None
        ),
    )
    images = next(_files(folder, "images.json"), None)
    if images is None:
        return found
    if _is_older(images, changed):
        return replace(found, images_unknown="images.json is older than the files here")
    return replace(found, images=_images(images))


def last_change(project: Path) -> float:
    """When what is tested and built of a project changed last, in seconds since 1970; 0 where there is nothing."""
    folders = [project / name for name in _SPOKEN_OF]
    times = [path.stat().st_mtime for path in folders if path.is_file()]
    for folder in folders:
        for root, below, names in os.walk(folder):
            below[:] = [name for name in below if not is_left_out(name)]
            times += [Path(root, name).lstat().st_mtime for name in names if not is_left_out(name)]
    return max(times, default=0.0)


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


def _is_older(path: Path, changed: float | None) -> bool:
    return changed is not None and path.stat().st_mtime < changed


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
