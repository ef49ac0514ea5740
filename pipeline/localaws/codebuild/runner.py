"""Runs one build from PROVISIONING to COMPLETED: phases in order, commands as written, and everything cleaned up."""

import logging
import platform
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.codebuild import cache, phases
from pipeline.localaws.codebuild.artifacts import NoMatchError
from pipeline.localaws.codebuild.build_log import BuildLog
from pipeline.localaws.codebuild.build_processes import GRACE, BuildProcesses
from pipeline.localaws.codebuild.buildspec import Buildspec, BuildspecError, Phase, PhaseName
from pipeline.localaws.codebuild.environment import Places
from pipeline.localaws.codebuild.inputs import Prepared, build_variables, download, runtimes
from pipeline.localaws.codebuild.outputs import hand_over
from pipeline.localaws.codebuild.records import SUCCEEDED, BuildRecord
from pipeline.localaws.codebuild.report_groups import ReportGroups
from pipeline.localaws.codebuild.reporting import Reporter
from pipeline.localaws.codebuild.shell import Shell, StoppedError, TimedOutError
from pipeline.localaws.codebuild.variables import VariableError
from pipeline.localaws.codebuild.workspace import Workspaces
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

_PROCESSES: Final = "processes"
LEFT_BEHIND_GRACE: Final = 1.0  # seconds for processes a finished build left behind; on AWS the machine just goes


class PhaseFailedError(Exception):
    """A phase failed; `code` is CodeBuild's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Runner:
    """What all builds share.

    Attributes:
        region: Where AWS answers.
        workspaces: Makes the builds' folders.
        reports: Where reports go.
    """

    region: LocalRegion
    workspaces: Workspaces
    reports: ReportGroups

    def run(self, record: BuildRecord) -> None:
        """Run a build to its end. Nothing is raised: whatever happens is the build's status."""
        _Run(self, record).run()

    def process_record(self, uuid: str) -> Path:
        """Where the processes of a build are on record."""
        return self.workspaces.folder / _PROCESSES / f"{uuid}.json"


def end_left_over(folder: Path) -> None:
    """End the processes and remove the folders of builds whose server was killed; `folder` is that of `Workspaces`."""
    for record in sorted((folder / _PROCESSES).glob("*.json")):
        count = BuildProcesses.left_over(record).end()
        log.info("ended %d processes that the build %s had left", count, record.stem)
    shutil.rmtree(folder / "builds", ignore_errors=True)


class _Run:
    """One build under way."""

    def __init__(self, runner: Runner, record: BuildRecord) -> None:
        self.runner = runner
        self.record = record
        self.build = record.snapshot()
        self.deadline = monotonic() + 60.0 * self.build["timeoutInMinutes"]
        self.processes = BuildProcesses(record.uuid, runner.process_record(record.uuid))
        self.status = SUCCEEDED
        self.log = BuildLog(None, "", "")
        self.shell: Shell | None = None
        self.secret: frozenset[str] = frozenset()

    def run(self) -> None:
        """All phases; then, whatever happened, the processes, the folder and the log are brought to an end."""
        try:
            self._phases()
        except PhaseFailedError:
            self.status = "FAILED"
        except StoppedError:
            self.status = "STOPPED"
        except TimedOutError:
            self.status = "TIMED_OUT"
        except Exception as error:
            log.exception("the build %s broke", self.record.id)
            self.log.say(f"The local AWS failed: {type(error).__name__}: {error}")
            self.status = "FAULT"
        self.record.enter("FINALIZING")
        for clean_up in (self._end_processes, self._remove_folder, self.log.close):
            try:
                clean_up()
            except Exception:
                log.exception("cleaning up after the build %s", self.record.id)
        self.record.leave(SUCCEEDED)
        self.record.finish(self.status)

    def _phases(self) -> None:
        with self._phase("PROVISIONING"):
            self._open_log()
            self._say_where_it_runs()
            places = self.runner.workspaces.create(self.record.uuid)
        with self._phase("DOWNLOAD_SOURCE"):
            prepared = self._download(places)
        assert self.shell is not None  # noqa: S101 - _download made it
        upload = self._commands(prepared.buildspec)
        self._read_exported(prepared.buildspec)
        if upload:
            with self._phase("UPLOAD_ARTIFACTS"):
                self._upload(prepared)
        self._save_cache(prepared)

    def _commands(self, buildspec: Buildspec) -> bool:
        """Run the four phases; whether artifacts are to be uploaded afterwards."""
        succeeding = True
        name: PhaseName | None = phases.ORDER[0]
        while name is not None:
            phase: Phase = getattr(buildspec.phases, name)
            failed = False
            try:
                with self._phase(name.upper()):
                    self.log.say(f"Entering phase {name.upper()}")
                    self._phase_commands(phase, succeeding=succeeding)
            except PhaseFailedError:
                failed, succeeding = True, False
            following = phases.after(name, failed=failed, on_failure=phase.on_failure)
            if following.build_fails:
                self.status = "FAILED"
            if following.phase == phases.FINALIZING:
                return False
            name = next((each for each in phases.ORDER if each.upper() == following.phase), None)
        return True

    def _phase_commands(self, phase: Phase, *, succeeding: bool) -> None:
        """The commands up to the first that fails, then all of `finally` up to the first that fails."""
        failure = self._until_failure(phase.commands, succeeding=succeeding)
        in_finally = self._until_failure(phase.finally_, succeeding=succeeding and failure is None)
        if failure or in_finally:
            raise failure or in_finally or AssertionError

    def _until_failure(self, commands: Sequence[str], *, succeeding: bool) -> PhaseFailedError | None:
        assert self.shell is not None  # noqa: S101 - commands come after DOWNLOAD_SOURCE
        for command in commands:
            self.log.say(f"Running command {command.rstrip()}")
            code = self.shell.run(command, succeeding=succeeding)
            if code != 0:
                self.log.flush_partial()
                self.log.say(f"Command did not exit successfully {command.rstrip()} exit status {code}")
                message = f"Error while executing command: {command.rstrip()}. Reason: exit status {code}"
                return PhaseFailedError("COMMAND_EXECUTION_ERROR", message)
        return None

    def _download(self, places: Places) -> Prepared:
        prepared = download(self.runner.region, self.record, places)
        values = build_variables(self.runner.region, self.record, prepared, self.runner.workspaces.host)
        self.secret = values.secret
        for secret in values.secret:
            self.log.hide(secret)
        spec = prepared.buildspec
        self.record.update(**({"resolvedSourceVersion": prepared.resolved} if prepared.resolved else {}))
        self.log.say(f"CODEBUILD_SRC_DIR={prepared.source}")
        asked = spec.phases.install.runtime_versions
        self.runner.workspaces.make_python(places, asked.get("python", ""))
        for line in runtimes(asked, places.python):
            self.log.say(line)
        base_images = self.runner.workspaces.host.base_images
        if base_images is not None and self.build["environment"].get("privilegedMode"):
            base_images(prepared.source, self.log.say)
        self.shell = Shell(
            program=Path(spec.env.shell).name,
            folder=places.control,
            cwd=prepared.source,
            environment={**values.environment, **self.processes.environment},
            output=self.log.write,
            processes=self.processes,
            stopped=self.record.stopped,
            deadline=self.deadline,
        )
        if self._cached():
            for path in cache.restore(spec.cache.paths, self._cache_folder(), prepared.source, places.home):
                self.log.say(f"Restored from the local cache: {path}")
        return prepared

    def _upload(self, prepared: Prepared) -> None:
        assert self.shell is not None  # noqa: S101 - artifacts come after DOWNLOAD_SOURCE
        variables = {**self.shell.environment, **self.shell.values(tuple(prepared.buildspec.env.exported_variables))}
        reporter = Reporter(self.runner.reports, self.build["projectName"], self.build["arn"], self.log)
        arns = reporter.report(prepared.buildspec.reports, prepared.source, variables)
        self.record.update(reportArns=arns)
        self.record.update(
            **hand_over(
                self.runner.region, self.record, prepared, shell=self.shell, variables=variables, say=self.log.say
            )
        )

    def _read_exported(self, buildspec: Buildspec) -> None:
        """What the shell holds when the last phase has ended, also of a build that failed; never a secret."""
        assert self.shell is not None  # noqa: S101 - as above
        values = self.shell.values(buildspec.env.exported_variables)
        exported = [{"name": name, "value": value} for name, value in values.items() if value not in self.secret]
        self.record.update(exportedEnvironmentVariables=exported)

    def _save_cache(self, prepared: Prepared) -> None:
        if self._cached() and self.status == SUCCEEDED:
            paths = prepared.buildspec.cache.paths
            for path in cache.save(paths, self._cache_folder(), prepared.source, prepared.places.home):
                self.log.say(f"Saved to the local cache: {path}")

    def _cached(self) -> bool:
        return "LOCAL_CUSTOM_CACHE" in self.build.get("cache", {}).get("modes", ())

    def _cache_folder(self) -> Path:
        return self.runner.workspaces.folder / "cache" / str(self.build["projectName"])

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """A phase of the record and of the log; an expected failure becomes its context."""
        self.record.enter(name)
        try:
            self._keep_on()
            yield
        except StoppedError:
            self._close_phase(name, "STOPPED", "", "Build was stopped")
            raise
        except TimedOutError:
            message = f"Build has timed out after {self.build['timeoutInMinutes']} minutes"
            self._close_phase(name, "TIMED_OUT", "BUILD_TIMED_OUT", message)
            raise
        except (PhaseFailedError, VariableError) as error:
            self._close_phase(name, "FAILED", error.code, str(error))
            raise PhaseFailedError(error.code, str(error)) from None
        except BuildspecError as error:
            self._close_phase(name, "FAILED", "YAML_FILE_ERROR", str(error))
            raise PhaseFailedError("YAML_FILE_ERROR", str(error)) from None
        except (PipelineError, NoMatchError, ClientError, BotoCoreError) as error:
            self._close_phase(name, "FAILED", "CLIENT_ERROR", str(error))
            raise PhaseFailedError("CLIENT_ERROR", str(error)) from None
        except Exception as error:
            self._close_phase(name, "FAULT", "INTERNAL_ERROR", f"{type(error).__name__}: {error}")
            raise
        else:
            self._close_phase(name, SUCCEEDED, "", "")

    def _close_phase(self, name: str, status: str, code: str, message: str) -> None:
        self.log.say(f"Phase complete: {name} State: {status}")
        self.log.say(f"Phase context status code: {code} Message: {message}")
        self.record.leave(status, code, message)

    def _keep_on(self) -> None:
        if self.record.stopped.is_set():
            raise StoppedError
        if monotonic() > self.deadline:
            raise TimedOutError

    def _open_log(self) -> None:
        """The log is there before the build says where it is: a client may read it at once."""
        wanted: dict[str, Any] = dict(self.build["logs"].get("cloudWatchLogs") or {})
        if wanted.get("status") == "DISABLED":
            return
        group = wanted.get("groupName") or f"/aws/codebuild/{self.build['projectName']}"
        stream = "/".join(part for part in (wanted.get("streamName"), self.record.uuid) if part)
        self.log = BuildLog(self.runner.region.client("logs"), group, stream)
        region = self.runner.region
        arn = f"arn:aws:logs:{region.region}:{region.account}:log-group:{group}:log-stream:{stream}"
        link = f"https://console.aws.amazon.com/cloudwatch/home?region={region.region}#logEvent:group={group};stream={stream}"
        own = {"groupName": group, "streamName": stream, "cloudWatchLogsArn": arn, "deepLink": link}
        self.record.update(logs={**self.build["logs"], **own})

    def _say_where_it_runs(self) -> None:
        wanted = self.build["environment"]
        self.log.say(
            f"Running on the local AWS: host {socket.gethostname()}, {platform.system()} {platform.machine()}; "
            f"the project's image is {wanted['image']} ({wanted['type']})"
        )

    def _end_processes(self) -> None:
        if self.shell is None:
            return
        in_order = self.status in (SUCCEEDED, "FAILED")
        count = self.processes.end(LEFT_BEHIND_GRACE if in_order else GRACE, meanwhile=self.shell.drain)
        self.shell.close()
        left = count - 1 if in_order else count  # the shell itself is idle at the end
        if left > 0:
            self.log.say(f"Ended {left} process{'es' if left > 1 else ''} of the build")

    def _remove_folder(self) -> None:
        self.runner.workspaces.remove(self.record.uuid)
