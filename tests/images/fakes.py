"""A registry and a builder in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pipeline.errors import PipelineError
from pipeline.images.builder import BuildError, Order, PushError, Say
from pipeline.images.checks.finding import Finding
from pipeline.images.checks.scan import Scan
from pipeline.images.containers import Container
from pipeline.images.plan import Image, Published
from pipeline.images.record import LABEL, Record, read_label
from pipeline.images.registry import Login

HOST = "registry.test"


@dataclass
class MemoryRegistry:
    """Repositories with tags; the tag pushed last is the newest."""

    tags: dict[str, dict[str, Mapping[str, str]]] = field(default_factory=dict)  # container → tag → labels
    asked: list[str] = field(default_factory=list)
    tells_no_labels: bool = False

    def published(self, names: Sequence[str]) -> Mapping[str, Published]:
        self.asked.append("published")
        return {name: self._published(name) for name in names}

    def recorded(self, name: str, published: Published) -> Record | None:
        self.asked.append(f"recorded {name}")
        if self.tells_no_labels:
            raise PipelineError("the registry cannot be asked: HTTP Error 503", where=name)
        labels = self.tags.get(name, {}).get(published.newest, {})
        return read_label(labels.get(LABEL, ""))

    def image(self, name: str, tag: str) -> Image | None:
        self.asked.append(f"image {name}")
        return Image(f"sha256:{name}-{tag}", 1) if tag in self.tags.get(name, {}) else None

    def join(self, name: str, tag: str, parts: Mapping[str, str]) -> bool:
        self.asked.append(f"join {name}")
        assert all(part in self.tags[name] for part in parts.values())
        if tag in self.tags[name]:
            return False
        self.tags[name][tag] = self.tags[name][next(iter(parts.values()))]
        return True

    def login(self) -> Login:
        self.asked.append("login")
        return Login(HOST, f"https://{HOST}", "user", "password")

    def _published(self, name: str) -> Published:
        if name not in self.tags:
            return Published("", {})
        tags = self.tags[name]
        images = {tag: Image(f"sha256:{name}-{tag}", 1) for tag in tags}
        return Published(f"{HOST}/etl/{name}", images, newest=next(reversed(tags), ""))


@dataclass
class MemoryScanner:
    """Scans that go on with each question; the last answer stays."""

    scans: dict[str, list[Scan | PipelineError]] = field(default_factory=dict)  # digest → answers
    indexes: dict[str, dict[str, str] | PipelineError] = field(default_factory=dict)  # digest → platform → digest
    asked: list[str] = field(default_factory=list)

    def parts(self, name: str, digest: str) -> Mapping[str, str]:
        self.asked.append(f"parts {name}")
        found = self.indexes[digest]
        if isinstance(found, PipelineError):
            raise found
        return found

    def scan(self, name: str, digest: str) -> Scan:
        self.asked.append(f"scan {name}")
        answers = self.scans.get(digest, [Scan()])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, PipelineError):
            raise found
        return found


@dataclass
class MemoryJudge:
    """Finds what it is told to find."""

    before_building: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    in_the_image: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)

    def before(self, container: Container) -> tuple[Finding, ...]:
        return self.before_building.get(container.name, ())

    def built(self, container: Container, image: str, platform: str) -> tuple[Finding, ...]:
        assert image.endswith(container.name) or platform
        return self.in_the_image.get(container.name, ())


@dataclass
class MemoryBuilder:
    """Builds nothing, and pushes it to a `MemoryRegistry`, with immutable tags."""

    registry: MemoryRegistry
    name: str = "memory"
    broken: frozenset[str] = frozenset()  # containers that do not build
    loses_pushes: bool = False
    while_building: Callable[[str], None] = lambda _container: None
    events: list[str] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    contexts: dict[str, list[str]] = field(default_factory=dict)
    most_at_once: int = 0
    _running: int = 0
    _lock: Lock = field(default_factory=Lock)

    def build(self, order: Order, say: Say) -> None:
        name, _ = _parts(order.image)
        with self._lock:
            self.events.append(f"build {name}")
            self.orders[name] = order
            self.contexts[name] = sorted(
                str(path.relative_to(order.context)) for path in Path(order.context).rglob("*") if path.is_file()
            )
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            self.while_building(name)
            say(f"Step 1/1 : FROM {name}")
            if name in self.broken:
                raise BuildError(["Step 1/1 : RUN false", "it ended with code 1"], order.image)
        finally:
            with self._lock:
                self._running -= 1
                self.events.append(f"built {name}")

    def push(self, image: str, say: Say) -> None:
        name, tag = _parts(image)
        say("pushing")
        self.events.append(f"push {name}")
        if self.loses_pushes:
            return
        if tag in self.registry.tags[name]:
            raise PushError("tag invalid: it already exists and cannot be overwritten", image)
        self.registry.tags[name][tag] = self.orders[name].labels


def _parts(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return repository.rpartition("/")[2], tag
