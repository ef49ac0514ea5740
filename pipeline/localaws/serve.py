"""The server process of the local AWS: started in the background by `pipeline local up`, ended by a signal.

python -m pipeline.localaws.serve FOLDER REGION PORT
"""

import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.localaws.cloudformation.service import CloudFormation
from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.service import CodeBuild
from pipeline.localaws.codecommit.http import PREFIX, GitHttp
from pipeline.localaws.codecommit.repositories import Repositories
from pipeline.localaws.codecommit.service import CodeCommit
from pipeline.localaws.codepipeline.service import CodePipeline
from pipeline.localaws.ecr.reference import image_reference
from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.ecs.service import Ecs
from pipeline.localaws.eks.service import Eks
from pipeline.localaws.events import EventBus
from pipeline.localaws.glue.service import Glue
from pipeline.localaws.instance import Address, Instance, code_digest
from pipeline.localaws.left_over import ENGINE
from pipeline.localaws.machine.base_images import BuildBaseImages
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.mwaa.service import Mwaa
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.pythons import find_python

LOOK_SECONDS = 3.0  # between looks at the engine: costs nothing, and a task that is tried again soon finds it back

log = logging.getLogger(__name__)


def compose(region: LocalRegion, engine: Engine) -> LocalAws:
    """All services of the local AWS, wired to each other by API and by events."""
    bus = EventBus(region)
    repositories = Repositories(region.folder / "codecommit")
    ecr = Ecr(region)
    host = Host(
        environment=dict(os.environ),
        python=Path(sys.executable),
        find_python=find_python,
        docker_host=engine.host,
        programs=[Path(found) for found in [shutil.which("aws", path=str(Path(sys.executable).parent))] if found],
        base_images=BuildBaseImages(lambda: engine.client),
    )
    services = [
        CloudFormation(region),
        CodeBuild(region, host, bus.emit),
        CodeCommit(region, repositories),
        CodePipeline(region, repositories.archive, bus.emit),
        ecr,
        Ecs(region, lambda: engine.client, lambda uri: image_reference(uri, region)),
        Eks(region),
        Glue(region, Path(sys.executable)),
        Mwaa(region, Path(".airflow").resolve(), dict(os.environ)),
    ]
    return LocalAws(region, services, {**ecr.mounts, PREFIX: GitHttp(region, repositories)})


def main(folder: Path, region_name: str, port: int) -> None:
    """Start everything, say where it answers, and stop everything on SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("botocore", "urllib3", "docker", "werkzeug"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    region = LocalRegion(f"http://127.0.0.1:{port}", region_name, folder)
    engine = Engine(folder / ENGINE, docker_host=os.environ.get("DOCKER_HOST", ""))
    engine.start()
    try:
        log.info("%s", engine.choice.reason)
        try:
            server = Server(compose(region, engine), port)
        except (OSError, SystemExit):  # werkzeug prints the reason, and exits
            raise PipelineError(
                f"port {port} of this machine cannot be listened on",
                mend="Choose another: pipeline local up --port PORT, or PIPELINE_LOCAL_PORT=PORT make run",
            ) from None
        try:
            server.start()
            Instance(folder).announce(Address(region.endpoint, region_name, engine.host, code_digest()))
            while not ended.wait(LOOK_SECONDS):
                engine.look_after()
        finally:
            server.stop()
    finally:
        engine.stop()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except PipelineError as failure:
        sys.exit(str(failure))
