"""CodeBuild's API, answered by builds that really run."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from pipeline.localaws.codebuild.builds import Builds
from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.projects import Projects
from pipeline.localaws.codebuild.records import BuildRecord, event_detail
from pipeline.localaws.codebuild.report_groups import ReportGroups
from pipeline.localaws.codebuild.report_operations import Reports
from pipeline.localaws.codebuild.runner import Runner
from pipeline.localaws.codebuild.runner import end_left_over as end_processes_and_folders
from pipeline.localaws.codebuild.workspace import Workspaces
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Service

log = logging.getLogger(__name__)

# source, detail-type, detail, resources
Emit = Callable[[str, str, Mapping[str, Any], Sequence[str]], None]

CONCURRENT_BUILDS: Final = 6  # builds at once, enough for the steps of a stage; more are queued
STATE_CHANGE: Final = "CodeBuild Build State Change"


def _to_nobody(source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
    """Nobody listens."""


class CodeBuild(Projects, Builds, Reports, Service):
    """CodeBuild.

    Args:
        region: Where it answers; its files lie below `region.folder / "codebuild"`.
        host: The machine that builds run on.
        emit: Takes EventBridge events.
        concurrent_builds: How many builds run at once.
    """

    name: ClassVar[str] = "codebuild"

    def __init__(
        self, region: LocalRegion, host: Host, emit: Emit = _to_nobody, concurrent_builds: int = CONCURRENT_BUILDS
    ) -> None:
        super().__init__(region)
        self.reports = ReportGroups(region)
        self.runner = Runner(region, Workspaces(host, region.folder / self.name), self.reports)
        self.projects: dict[str, dict[str, Any]] = {}
        self.builds: dict[str, BuildRecord] = {}
        self._emit = emit
        self._concurrent_builds = concurrent_builds
        self._waiting = queue.SimpleQueue()
        self._workers = []
        self._numbers = Counter()
        self._tokens = {}
        self._submitting = threading.Lock()

    def start(self) -> None:
        """End what a server that was killed left, then run builds."""
        end_left_over(self.region.folder)
        self.start_workers(self._concurrent_builds)

    def stop(self) -> None:
        """End all builds and their processes."""
        self.stop_workers()

    def announce(self, build: dict[str, Any]) -> None:
        """Raise the event of a build's new state."""
        try:
            self._emit("aws.codebuild", STATE_CHANGE, event_detail(build), [build["arn"]])
        except Exception:  # whoever listens must not be able to fail a build
            log.exception("the event of %s was not delivered", build["id"])


def end_left_over(folder: Path) -> None:
    """End the builds of a local AWS that was killed, when no new one is started.

    Args:
        folder: The region's folder.
    """
    end_processes_and_folders(folder / CodeBuild.name)
