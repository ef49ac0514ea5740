"""What a server that was killed left on the machine, ended without starting a new one."""

import shutil
from pathlib import Path

from pipeline.localaws.codebuild.service import end_left_over as end_builds
from pipeline.localaws.glue.service import end_left_over as end_jobs
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.machine.processes import RECORD, Processes
from pipeline.localaws.machine.registry import Registry
from pipeline.localaws.mwaa.components import end_left_over as end_airflows
from pipeline.localaws.region import TEMPORARY

ENGINE = "docker"
REGISTRY = "registry"


def end_left_over(folder: Path) -> None:
    """End everything that a local AWS started; nothing happens where nothing is left.

    Args:
        folder: The local AWS's folder. Every service keeps the records of its processes below its own folder there.
    """
    end_builds(folder)
    end_jobs(folder)
    end_airflows(folder)
    # Containers end with the engine; it goes by itself, for it leaves mounts, interfaces and rules too.
    Engine(folder / ENGINE).clean_up()
    for pattern in (f"*/*{RECORD}", f"*/*/*{RECORD}"):
        for path in sorted(folder.glob(pattern)):
            Processes(path.parent).stop(path.name.removesuffix(RECORD))
    Registry(folder / REGISTRY).stop()
    shutil.rmtree(folder / TEMPORARY, ignore_errors=True)
