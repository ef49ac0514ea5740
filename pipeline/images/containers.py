"""The containers of the project: the folders of `containers/`, checked and put in the order in which they build."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.images.declaration import DECLARATION_FILE, Architecture, load
from pipeline.images.dockerfile import BASE_ARGUMENT, Dockerfile, parse

DOCKERFILE = "Dockerfile"
TESTS = "tests"
PLATFORMS: Mapping[Architecture, str] = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}

# The name becomes part of an ECR repository, a task-definition family and a log stream; ECR is the strictest of them.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_LENGTH = 40
_NAME_RULE = f"at most {_NAME_LENGTH} lower-case letters, digits and single hyphens, a letter first"


@dataclass(frozen=True)
class Container:
    """A folder of `containers/`: one ECR repository and, if it is a task, one Fargate task definition.

    Attributes:
        name: The folder's name.
        folder: The Docker build context.
        base: The container its Dockerfile starts from, when that is one of ours.
        task: Whether it runs as a Fargate task; False when it is only a base.
        cpu: Fargate CPU units.
        memory: MiB.
        architecture: The architecture its task runs on, in ECS's words.
        other_architectures: Those its image is built for besides.
        environment: Variables of the task.
        secrets: Variable → where ECS takes its value from.
        policy: IAM statements of the task's role.
        target: The stage to ship, "" for the last one.
        arguments: Docker build arguments.
    """

    name: str
    folder: Path
    base: str | None = None
    task: bool = True
    cpu: int = 256
    memory: int = 512
    architecture: Architecture = "X86_64"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    policy: tuple[Mapping[str, Any], ...] = ()
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    other_architectures: tuple[Architecture, ...] = ()

    @property
    def platform(self) -> str:
        """The platform its task runs on, in Docker's words, `linux/amd64`."""
        return PLATFORMS[self.architecture]

    @property
    def platforms(self) -> tuple[str, ...]:
        """All platforms its image is built for, the task's first."""
        return tuple(dict.fromkeys(PLATFORMS[each] for each in (self.architecture, *self.other_architectures)))

    def dockerfile(self) -> Dockerfile:
        """Its Dockerfile, read now. Raises UsageError."""
        with _reading():
            return parse((self.folder / DOCKERFILE).read_text(encoding="utf-8", errors="replace"))


def discover(folder: Path) -> tuple[Container, ...]:
    """All containers, each after its base, otherwise by name. An empty folder gives none.

    Raises:
        UsageError: Names the first wrong folder and how to mend it.
    """
    with _reading():
        if not folder.is_dir():
            state = "is no folder" if folder.exists() else "does not exist"
            raise UsageError(f"{folder} {state}", mend="Run the command in the project's folder.")
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and _is_meant(path))
        _check_case(folders)
        found = {path.name: _read(path) for path in folders}
    for container in found.values():
        _check_base(container, found)
    depths = {name: _depth(name, found) for name in found}
    return tuple(sorted(found.values(), key=lambda container: (depths[container.name], container.name)))


@contextmanager
def _reading() -> Iterator[None]:
    """What the system does not let us read is told with its place."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"it cannot be read: {error.strerror}", where=str(error.filename), mend="Make it readable, or remove it."
        ) from None


def _is_meant(path: Path) -> bool:
    """Tools leave folders of their own anywhere."""
    return not path.name.startswith(".") and path.name != "__pycache__"


def _check_case(folders: Sequence[Path]) -> None:
    by_lower_case: dict[str, Path] = {}
    for path in folders:
        other = by_lower_case.setdefault(path.name.lower(), path)
        if other is not path:
            raise UsageError(
                f"the folders {other.name} and {path.name} differ by case only, which ECR cannot tell apart",
                where=str(path.parent),
                mend="Rename or remove one of them.",
            )


def _read(path: Path) -> Container:
    if len(path.name) > _NAME_LENGTH or not _NAME.fullmatch(path.name):
        raise UsageError(
            f"the folder's name {path.name!r} cannot name an ECR repository; expected {_NAME_RULE}",
            where=str(path),
            mend="Rename the folder.",
        )
    if path.is_symlink():
        raise UsageError(
            "the folder is a symbolic link, which is not carried to the build",
            where=str(path),
            mend="Put the files themselves there.",
        )
    dockerfile = path / DOCKERFILE
    if not dockerfile.is_file() or dockerfile.is_symlink():
        state = "is empty" if not any(path.iterdir()) else f"has no {DOCKERFILE} that is a plain file"
        raise UsageError(
            f"the folder {state}",
            where=str(path),
            mend=f"Add a {DOCKERFILE}, or remove the folder if it is a left-over.",
        )
    declared = load(path)
    return Container(
        name=path.name,
        folder=path,
        base=declared.base,
        task=declared.task,
        cpu=declared.cpu,
        memory=declared.memory,
        architecture=declared.architecture,
        environment=declared.environment,
        secrets=declared.secrets,
        policy=declared.statements(),
        target=declared.target,
        arguments=declared.arguments,
        other_architectures=tuple(declared.other_architectures),
    )


def _check_base(container: Container, known: Mapping[str, Container]) -> None:
    """The base exists, is built for the same machine, and Dockerfile and container.toml agree about it."""
    where = str(container.folder)
    if container.base is not None and container.base not in known:
        names = ", ".join(sorted(known.keys() - {container.name})) or "no others"
        raise UsageError(
            f"its base {container.base!r} is not a folder beside it; there are: {names}",
            where=f"{where}/{DECLARATION_FILE}",
            mend="Correct `base`, or write the image after FROM in the Dockerfile and remove `base`.",
        )
    written = container.dockerfile()
    takes_base = written.declares_base and written.uses_base
    if container.base is not None and not takes_base:
        raise UsageError(
            f"{DECLARATION_FILE} says base = {container.base!r}, but the {DOCKERFILE} does not start from it",
            where=where,
            mend=f"Begin the {DOCKERFILE} with the lines `ARG {BASE_ARGUMENT}` and `FROM ${{{BASE_ARGUMENT}}}`.",
        )
    if container.base is None and (written.declares_base or written.uses_base):
        raise UsageError(
            f"the {DOCKERFILE} starts from ${{{BASE_ARGUMENT}}}, but {DECLARATION_FILE} names no base",
            where=where,
            mend=f'Add the line `base = "NAME"` to {container.folder / DECLARATION_FILE}.',
        )
    if container.target and not written.has_stage(container.target):
        raise UsageError(
            f"{DECLARATION_FILE} says target = {container.target!r}, but the {DOCKERFILE} has no such stage",
            where=where,
            mend=f"Name a stage of the {DOCKERFILE} (`FROM … AS {container.target}`), or remove `target`.",
        )
    base = known.get(container.base or "")
    if base is not None and (lacking := [each for each in container.platforms if each not in base.platforms]):
        raise UsageError(
            f"it is built for {lacking[0]}, but its base {base.name} only for {', '.join(base.platforms)}",
            where=f"{where}/{DECLARATION_FILE}",
            mend="Give both the same `architecture`, or the base more of them as `other_architectures`.",
        )


def _depth(name: str, known: Mapping[str, Container]) -> int:
    """How many bases of ours lie below a container."""
    chain = [name]
    while (base := known[chain[-1]].base) is not None:
        if base in chain:
            cycle = " → ".join([*chain[chain.index(base) :], base])
            raise UsageError(
                f"the bases form a cycle: {cycle}",
                where=f"{known[base].folder}/{DECLARATION_FILE}",
                mend="Let one of them start from an image that is not in the cycle.",
            )
        chain.append(base)
    return len(chain) - 1
