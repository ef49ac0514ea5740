"""The one local AWS of a project: started in the background, found again, stopped without a trace."""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

from pipeline.errors import PipelineError
from pipeline.localaws.left_over import end_left_over
from pipeline.localaws.machine.processes import Processes
from pipeline.localaws.region import LocalRegion

PROCESS = "server"
# dockerd is the slowest part: some seconds, up to a minute on a busy machine.
START_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Address:
    """Where a running local AWS answers.

    Attributes:
        endpoint: Base URL of every API.
        region: The region it plays.
        docker_host: The engine it uses, as in DOCKER_HOST.
        code: Digest of the code it runs.
    """

    endpoint: str
    region: str
    docker_host: str
    code: str

    def in_folder(self, folder: Path) -> LocalRegion:
        """The region with its files."""
        return LocalRegion(self.endpoint, self.region, folder)


class Instance:
    """The local AWS whose files lie in `folder`, running or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.processes = Processes(self.folder / "processes")
        self._address = self.folder / "address.json"

    def running(self) -> Address | None:
        """Where it answers, or None when it does not run."""
        if not self.processes.running(PROCESS):
            return None
        try:
            return Address(**json.loads(self._address.read_text(encoding="utf-8")))
        except (FileNotFoundError, TypeError, json.JSONDecodeError):
            return None

    def address(self) -> Address:
        """Where it answers.

        Raises:
            PipelineError: It does not run.
        """
        found = self.running()
        if found is None:
            raise PipelineError("the local AWS is not running", where=str(self.folder), mend="Start it: make run")
        return found

    def start(self, region: str, port: int, environment: Mapping[str, str]) -> Address:
        """Start it and wait until it answers; one that runs the same code already is left as it is.

        Args:
            region: The region it plays.
            port: The loopback port of its one endpoint.
            environment: Variables added to this process's own.

        Raises:
            PipelineError: It did not come up; the message holds the end of its log.
        """
        known = self.running()
        if known and known.code == code_digest() and known.region == region:
            return known
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pipeline.localaws.serve", str(self.folder), region, str(port)]
        self.processes.start(PROCESS, command, env=environment)
        until = monotonic() + START_SECONDS
        while monotonic() < until and self.processes.running(PROCESS):
            if found := self.running():
                return found
            sleep(0.1)
        lines = self.processes.last_lines(PROCESS)
        self.stop()
        raise PipelineError(f"the local AWS did not start:\n{lines}", mend="`pipeline doctor` says what is missing.")

    def announce(self, address: Address) -> None:
        """Say where it answers; called by the server itself once it does."""
        new = self._address.with_suffix(".new")
        new.write_text(json.dumps(asdict(address), indent=2), encoding="utf-8")
        new.replace(self._address)

    def stop(self) -> bool:
        """Stop it and whatever it started, also when it was killed before; whether there was anything to stop."""
        known = self.processes.record(PROCESS) is not None
        self._address.unlink(missing_ok=True)
        self.processes.stop(PROCESS, grace=STOP_SECONDS)
        end_left_over(self.folder)
        return known

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second `pipeline local up` or `down` of this project out while one is at work.

        Raises:
            PipelineError: One is at work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise PipelineError(
                    f"process {lock.read().strip() or '?'} is starting or stopping this local AWS right now",
                    where=str(self.folder),
                    mend="Wait for it, or end it, and try again.",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def code_digest() -> str:
    """Digest of the local AWS's own code: a server that runs other code is started anew."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
