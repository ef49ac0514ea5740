"""Building with a docker command: through its buildx plugin, or as commands before version 23 speak BuildKit."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.errors import PipelineError
from pipeline.images.builder import BuildError, Order, PushError, Say, telling
from pipeline.process import CommandError, run, stream

PROBE_SECONDS = 20
BUILDKIT_NEEDS_PLUGIN = 23  # since this version the docker command builds with BuildKit only through buildx


@dataclass(frozen=True)
class CommandBuilder:
    """Builds with a docker command: through buildx, or as an older command speaks BuildKit.

    Attributes:
        program: The docker command.
        buildx: It has the plugin.
        environment: DOCKER_HOST and DOCKER_CONFIG for it.
        stop: Once set, whatever runs is ended.
    """

    program: str
    buildx: bool
    environment: Mapping[str, str]
    stop: Event

    @property
    def name(self) -> str:
        """For people."""
        return "buildx" if self.buildx else "BuildKit"

    def build(self, order: Order, say: Say) -> None:
        """`docker buildx build --load`, or `DOCKER_BUILDKIT=1 docker build`."""
        command = [self.program, "buildx", "build", "--load"] if self.buildx else [self.program, "build"]
        command += ["--progress=plain", f"--tag={order.image}", f"--platform={order.platform}"]
        if self.buildx:
            # An attestation would make the manifest an index, and carries the time: not for us.
            command.append("--provenance=false")
        if order.target:
            command.append(f"--target={order.target}")
        for name, value in order.arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        for name, value in order.labels.items():
            command += ["--label", f"{name}={value}"]
        for name, file in order.secrets.items():
            command += ["--secret", f"id={name},{_field(f'src={file}')}"]
        command += self._caching(order)
        try:
            stream(
                [*command, str(order.context)],
                telling(say),
                env={**self.environment, "DOCKER_BUILDKIT": "1"},
                stop=self.stop,
            )
        except CommandError as error:
            raise BuildError(error.output.splitlines(), order.image) from None

    def push(self, image: str, say: Say) -> None:
        """`docker push`."""
        try:
            stream([self.program, "push", image], telling(say), env=self.environment, stop=self.stop)
        except CommandError as error:
            raise PushError(_last_line(error.output.splitlines()), image) from None

    def _caching(self, order: Order) -> list[str]:
        """Cache data inside the image itself: it needs no tag that moves, and every BuildKit can read and write it.

        A cache image of its own would hold the layers of all stages; but it needs a mutable tag in the registry, and
        a builder in a container, which has to be pulled first.
        """
        if self.buildx:
            source = ["--cache-from", f"type=registry,ref={order.cache}"] if order.cache else []
            return ["--cache-to", "type=inline", *source]
        source = ["--cache-from", order.cache] if order.cache else []
        return ["--build-arg", "BUILDKIT_INLINE_CACHE=1", *source]


@dataclass(frozen=True)
class DockerCommand:
    """A docker command found on this machine. `major` is 0 when it does not say its version."""

    path: str
    major: int
    buildx: bool


def choose(commands: Sequence[DockerCommand]) -> DockerCommand | None:
    """The command to build with: the first with buildx, else the first that speaks BuildKit alone, else None."""
    with_plugin = (command for command in commands if command.buildx)
    older = (command for command in commands if 0 < command.major < BUILDKIT_NEEDS_PLUGIN)
    return next(with_plugin, None) or next(older, None)


def docker_commands(folders: Sequence[str], environment: Mapping[str, str]) -> list[DockerCommand]:
    """Every docker command in these folders, in their order, asked for its version and its plugin."""
    found: dict[Path, DockerCommand] = {}
    for folder in folders:
        path = shutil.which("docker", path=folder)
        if path is not None and Path(path).resolve() not in found:
            found[Path(path).resolve()] = DockerCommand(path, _major(path, environment), _buildx(path, environment))
    return list(found.values())


def _field(text: str) -> str:
    """A field of a line of comma-separated values, which Docker's options are."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if {*text} & {*',"\r\n'} else text


def _major(path: str, environment: Mapping[str, str]) -> int:
    try:
        answer = run([path, "version", "--format", "{{json .Client}}"], env=environment, timeout=PROBE_SECONDS)
    except CommandError as error:
        answer = error.output.partition("\n")[0]  # the client's part is there even when no engine answers
    except PipelineError:
        return 0
    try:
        return int(str(json.loads(answer.partition("\n")[0])["Version"]).partition(".")[0])
    except (ValueError, KeyError, TypeError):
        return 0


def _buildx(path: str, environment: Mapping[str, str]) -> bool:
    try:
        run([path, "buildx", "version"], env=environment, timeout=PROBE_SECONDS)
    except PipelineError:
        return False
    return True


def _last_line(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line.strip()), "the push failed")
