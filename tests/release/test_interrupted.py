"""`kill -9` in the middle of a release, at every request of any service, and the run after it."""

import json
import os
import re
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Response

from tests.release import forked
from tests.release.conftest import Aws, Project, Sent
from tests.release.forked import Forked

if TYPE_CHECKING:
    import subprocess

SYNC = ("sync", "dev", "--no-verify", "--commit", "c0ffee1", "--by", "ann")


@dataclass
class Killer:
    """Ends a process at its n-th request: before the service has seen it, or when it is done but not answered."""

    at: int
    running: Forked | None = None
    seen: list[Sent] = field(default_factory=list)
    killed: bool = False

    def __call__(self, sent: Sent) -> Response | None:
        self.seen.append(sent)
        if self.running is None or len(self.seen) < self.at:
            return None
        if not self.killed:
            self.running.kill()
            self.killed = True
        return Response(status=500)


def version_of(content: bytes) -> int:
    found = re.search(rb"version (\d+)", content)
    assert found is not None
    return int(found[1])


def assert_sound(project: Project) -> None:
    """What must hold at every moment."""
    contents = project.contents()
    assert version_of(contents["dags/common/s3.py"]) >= version_of(contents["dags/orders.py"]), "helpers come first"
    release = project.pointer()["release"]
    s3 = project.aws.client("s3")
    for key, file in project.json(f"releases/{release}.json")["files"].items():
        s3.head_object(Bucket=project.bucket, Key=key, VersionId=file["version"])


def edit(project: Project, version: int) -> None:
    project.write(
        {
            "orders.py": f"from common.s3 import copy  # version {version}\n",
            "common/s3.py": f"def copy(): ...  # version {version}\n",
            f"new_{version}.sql": "select 1",
            f"new_{version - 1}.sql": None if version > 1 else "",
        }
    )
    if version == 1:
        project.write({"new_0.sql": None})


@pytest.mark.faults
@pytest.mark.parametrize("done", [False, True], ids=["before_it_is_done", "when_it_is_done"])
def test_killed_at_any_request_the_next_run_converges(aws: Aws, project: Project, done: bool) -> None:
    edit(project, 1)
    project.sync()
    for at in range(1, 40):
        version = at + 1
        edit(project, version)
        aws.before = aws.after = lambda _: None
        killer = Killer(at)
        if done:
            aws.after = killer
        else:
            aws.before = killer
        killer.running = forked.start(project.folder, *SYNC)
        ended = killer.running.end()
        aws.before = aws.after = lambda _: None
        assert_sound(project)
        if not killer.killed:
            assert ended.returncode == 0, ended.stderr
            break
        before = set(project.contents().items())
        locked = project.pointer()["lock"] is not None
        aws.ahead = timedelta(hours=1)  # its lock expires
        aws.forget()
        ended = forked.start(project.folder, *SYNC).end()
        aws.ahead = timedelta()
        assert ended.returncode == 0, ended.stderr
        assert ("took over the lock of ann" in ended.stdout) == locked
        again = {sent.path.split("/", 2)[2] for sent in aws.writes() if sent.method == "PUT"}
        assert_sound(project)
        contents = project.contents()
        assert contents["dags/orders.py"].decode().endswith(f"version {version}\n")
        assert {key for key in contents if "new_" in key} == {f"dags/new_{version}.sql"}
        assert not again & {key for key, content in before if contents.get(key) == content}, "uploaded twice"
        assert project.pointer()["lock"] is None
    requests = "account, role, two stacks, pointer, record, listing, lock, file, helper, DAG, deletion, record, pointer"
    assert at == len(requests.split(", ")) + 2, requests


def test_until_its_lock_expires_a_dead_sync_keeps_others_out(aws: Aws, project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# two\n"})
    killer = Killer(9)
    aws.after = killer
    killer.running = forked.start(project.folder, *SYNC)
    killer.running.end()
    aws.after = lambda _: None
    assert "ann holds the release lock since" in project.sync(code=3)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_the_lock_is_let_go(aws: Aws, project: Project, by: signal.Signals) -> None:
    project.sync()
    project.write({"orders.py": "# two\n"})
    running: list[subprocess.Popen[str]] = []

    def interrupt(sent: Sent) -> None:
        if sent.path.endswith("dags/orders.py"):
            os.kill(running[0].pid, by)
            time.sleep(0.5)

    aws.after = interrupt
    running.append(project.start("sync", "dev", "--no-verify", "--commit", "c0ffee1"))
    _, said = running[0].communicate(timeout=60)
    assert running[0].returncode == 130, said
    aws.after = lambda _: None
    pointer = project.pointer()
    assert pointer["lock"] is None, json.dumps(pointer)
    project.sync()
    assert project.contents()["dags/orders.py"] == b"# two\n"
