"""`kill -9` in the middle of a release, at every write, and the run after it."""

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field

from tests.release.conftest import Aws, Project, Sent

LOCK_SECONDS = 1


@dataclass
class Killer:
    """Ends a process at its n-th write: when S3 has done it, before the answer arrives."""

    at: int
    process: subprocess.Popen[str] | None = None
    writes: list[Sent] = field(default_factory=list)
    killed: bool = False

    def __call__(self, sent: Sent) -> None:
        if not sent.writes:
            return
        self.writes.append(sent)
        if len(self.writes) == self.at and self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.killed = True


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


def test_killed_at_any_write_the_next_run_converges(aws: Aws, project: Project) -> None:
    edit(project, 1)
    project.sync()
    for at in range(1, 20):
        version = at + 1
        edit(project, version)
        killer = Killer(at)
        aws.after = killer
        killer.process = project.start(
            "sync", "dev", "--no-verify", "--commit", "c0ffee1", "--lock-seconds", str(LOCK_SECONDS)
        )
        output = killer.process.communicate(timeout=60)
        aws.after = lambda _: None
        assert_sound(project)
        if not killer.killed:
            assert killer.process.returncode == 0, output
            break
        before = set(project.contents().items())
        time.sleep(2 * LOCK_SECONDS + 0.2)  # S3's times are whole seconds
        aws.forget()
        project.sync("--lock-seconds", str(LOCK_SECONDS))
        assert_sound(project)
        contents = project.contents()
        assert contents["dags/orders.py"].decode().endswith(f"version {version}\n")
        assert {key for key in contents if "new_" in key} == {f"dags/new_{version}.sql"}
        again = {sent.path.split("/", 2)[2] for sent in aws.writes() if sent.method == "PUT"}
        assert not again & {key for key, content in before if contents.get(key) == content}, "uploaded twice"
        assert project.pointer()["lock"] is None
    assert at == 8, "lock, new file, helper, DAG, deletion, record, pointer: seven writes"


def test_until_its_lock_expires_a_dead_sync_keeps_others_out(aws: Aws, project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# two\n"})
    killer = Killer(2)
    aws.after = killer
    killer.process = project.start("sync", "dev", "--no-verify", "--commit", "c0ffee1", "--by", "ann")
    killer.process.communicate(timeout=60)
    aws.after = lambda _: None
    assert "ann holds the release lock since" in project.sync(code=3)


def test_interrupted_by_ctrl_c_the_lock_is_let_go(aws: Aws, project: Project) -> None:
    project.sync()
    project.write({"orders.py": "# two\n"})
    running: list[subprocess.Popen[str]] = []

    def interrupt(sent: Sent) -> None:
        if sent.path.endswith("dags/orders.py"):
            os.kill(running[0].pid, signal.SIGINT)
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
