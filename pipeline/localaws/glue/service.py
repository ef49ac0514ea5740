"""Glue's API for job runs; jobs and the data catalogue stay with moto."""

import threading
import uuid
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.localaws.codebuild.build_processes import BuildProcesses
from pipeline.localaws.glue.job_run import DEFAULT_TIMEOUT, JobRun, RefusedError, arguments, check
from pipeline.localaws.glue.runner import JobRunner
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError

_PAGE: Final = 200
_END_SECONDS: Final = 15.0


def end_left_over(folder: Path) -> None:
    """End the processes of runs of a local AWS that was killed; `folder` is the region's."""
    for record in sorted((folder / Glue.name).glob("*.json")):
        BuildProcesses.left_over(record).end()


class Glue(Service):
    """Runs of Python shell jobs.

    Args:
        region: The region.
        python: The interpreter that runs the scripts.
    """

    name = "glue"
    moto_answers_the_rest = True

    def __init__(self, region: LocalRegion, python: Path) -> None:
        super().__init__(region)
        self._folder = region.folder / self.name
        self._runner = JobRunner(region, python, self._folder)
        self._runs: dict[str, JobRun] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """End the processes of runs that a killed server has left."""
        end_left_over(self.region.folder)

    def stop(self) -> None:
        """Stop every run and wait for its end."""
        with self._lock:
            runs, threads = list(self._runs.values()), list(self._threads)
        for run in runs:
            run.stop_asked.set()
        for thread in threads:
            thread.join(_END_SECONDS)

    def start_job_run(self, request: Document, _: Call) -> Document:
        """Start a run of a job."""
        job = self._job(request["JobName"])
        run = JobRun(
            id=f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}",
            job=job,
            arguments=arguments(job, request),
            timeout=request.get("Timeout") or job.get("Timeout") or DEFAULT_TIMEOUT,
        )
        with self._lock:
            running = [each for each in self._of(job["Name"]) if not each.ended]
            try:
                check(job, len(running))
            except RefusedError as error:
                raise ServiceError(error.code, str(error)) from None
            self._runs[run.id] = run
            thread = threading.Thread(target=self._runner.run, args=(run,), name=f"job run {run.id}", daemon=True)
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]
            thread.start()
        return {"JobRunId": run.id}

    def get_job_run(self, request: Document, _: Call) -> Document:
        """A run as it is now."""
        return {"JobRun": self._run(request["JobName"], request["RunId"]).describe()}

    def get_job_runs(self, request: Document, _: Call) -> Document:
        """The runs of a job, the latest first."""
        self._job(request["JobName"])
        with self._lock:
            found = self._of(request["JobName"])[::-1]
        first = int(request.get("NextToken") or 0)
        last = first + min(request.get("MaxResults") or _PAGE, _PAGE)
        more = {"NextToken": str(last)} if last < len(found) else {}
        return {"JobRuns": [run.describe() for run in found[first:last]], **more}

    def batch_stop_job_run(self, request: Document, _: Call) -> Document:
        """Ask runs to end."""
        answer: dict[str, list[dict[str, Any]]] = {"SuccessfulSubmissions": [], "Errors": []}
        for run_id in request["JobRunIds"]:
            which = {"JobName": request["JobName"], "JobRunId": run_id}
            try:
                run = self._run(request["JobName"], run_id)
            except ServiceError as error:
                detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": str(error.message)}
                answer["Errors"].append({**which, "ErrorDetail": detail})
                continue
            run.stop_asked.set()
            answer["SuccessfulSubmissions"].append(which)
        return answer

    def _of(self, job_name: str) -> list[JobRun]:
        return [run for run in self._runs.values() if run.job["Name"] == job_name]

    def _run(self, job_name: str, run_id: str) -> JobRun:
        with self._lock:
            run = self._runs.get(run_id)
        if run is None or run.job["Name"] != job_name:
            raise ServiceError("EntityNotFoundException", f"Job Run with name: {run_id} not found.")
        return run

    def _job(self, name: str) -> Document:
        try:
            job: Document = self.region.client("glue").get_job(JobName=name)["Job"]
        except ClientError as error:
            answer = error.response["Error"]
            raise ServiceError(answer["Code"], answer["Message"]) from None
        return job
