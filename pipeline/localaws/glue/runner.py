"""Runs a Python shell job: its script, from S3, in a process group of its own on this machine.

The Python is the local AWS's own: boto3 is there, the other libraries of Glue's Python shell (pandas, …) are not.
"""

import logging
import os
import subprocess
import threading
from collections import deque
from pathlib import Path
from time import monotonic
from typing import IO, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.localaws.codebuild.build_processes import BuildProcesses
from pipeline.localaws.ecs.launch import LogStream
from pipeline.localaws.ecs.output import CHANNELS, OutputLog, create_stream
from pipeline.localaws.glue.job_run import LOG_GROUP, JobRun, error_message
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 0.1
_MINUTE: Final = 60
_LINES_KEPT: Final = 50
_GROUPS: Final = {"stdout": f"{LOG_GROUP}/output", "stderr": f"{LOG_GROUP}/error"}


class JobRunner:
    """Runs one job run in the calling thread.

    Args:
        region: Where scripts, roles and logs are.
        python: The interpreter.
        records: The folder that knows the processes, for a server that comes after one that was killed.
    """

    def __init__(self, region: LocalRegion, python: Path, records: Path) -> None:
        self._region = region
        self._python = python
        self._records = records

    def run(self, run: JobRun) -> None:
        """From STARTING to the end. It never raises: failures become the run's error message."""
        processes = BuildProcesses(run.id, self._records / f"{run.id}.json")
        try:
            with self._region.temporary_folder("glue-") as folder:
                self._run(run, Path(folder), processes)
        except (ClientError, BotoCoreError) as error:
            run.move("FAILED", str(error))
        except Exception as error:
            log.exception("job run %s", run.id)
            run.move("FAILED", f"InternalError: {type(error).__name__}: {error}")
        finally:
            processes.end()

    def _run(self, run: JobRun, folder: Path, processes: BuildProcesses) -> None:
        script = self._script(run, folder)
        environment = self._environment(run, folder)
        logs = self._region.client("logs")
        outputs = {}
        for channel, group in _GROUPS.items():
            place = LogStream(group, run.id, create_group=True)
            create_stream(logs, place)
            outputs[channel] = OutputLog(logs, place)
        words = [word for pair in run.arguments.items() for word in pair]
        process = subprocess.Popen(
            [str(self._python), str(script), *words],
            cwd=folder,
            env={**environment, **processes.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        processes.add(process.pid)
        run.move("RUNNING")
        last: deque[bytes] = deque(maxlen=_LINES_KEPT)
        pipes = {"stdout": process.stdout, "stderr": process.stderr}
        readers = [
            threading.Thread(target=_deliver, args=(pipes[channel], channel, outputs[channel], last), daemon=True)
            for channel in CHANNELS
        ]
        for reader in readers:
            reader.start()
        self._wait(run, process)
        processes.end()
        code = process.wait()
        for reader in readers:
            reader.join()
        if run.state == "STOPPING":
            run.move("STOPPED")
        elif code:
            run.move("FAILED", error_message(code, [line.decode("utf-8", "replace").rstrip() for line in last]))
        else:
            run.move("SUCCEEDED")

    def _wait(self, run: JobRun, process: "subprocess.Popen[bytes]") -> None:
        """Until the script has ended, or is not to go on."""
        until = monotonic() + run.timeout * _MINUTE
        while process.poll() is None:
            if run.stop_asked.wait(_LOOK_AGAIN):
                run.move("STOPPING")
                return
            if monotonic() > until:
                run.move("TIMEOUT", f"Job run timed out after {run.timeout} minutes")
                return

    def _script(self, run: JobRun, folder: Path) -> Path:
        location = urlsplit(run.job["Command"]["ScriptLocation"])
        path = folder / (Path(location.path).name or "script.py")
        answer = self._region.client("s3").get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
        path.write_bytes(answer["Body"].read())
        return path

    def _environment(self, run: JobRun, folder: Path) -> dict[str, str]:
        """What Glue gives a script: credentials of the job's role; and nothing of this machine's own."""
        role: str = run.job["Role"]
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{self._region.account}:role/{role}"
        key = self._region.client("sts").assume_role(RoleArn=arn, RoleSessionName="GlueJobRunnerSession")["Credentials"]
        return {
            **self._region.environment(),
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_SESSION_TOKEN": key["SessionToken"],
            "PATH": os.defpath,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }


def _deliver(pipe: IO[bytes], channel: str, output: OutputLog, last: "deque[bytes]") -> None:
    with pipe:
        for line in pipe:
            output.write(channel, line)
            if channel == "stderr":
                last.append(line)
    output.close()
