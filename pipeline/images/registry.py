"""What we ask of an image registry."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.images.plan import Image, Published
from pipeline.images.record import Record

AT_ONCE = 8  # requests; boto3's connection pool has ten, and ECR throttles who asks for much more


@dataclass(frozen=True)
class Login:
    """How Docker logs in to a registry.

    Attributes:
        server: Host and port, as image names begin.
        endpoint: Its URL.
    """

    server: str
    endpoint: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.server!r})"

    @property
    def basic(self) -> str:
        """User and password as HTTP's basic authorization and Docker's config.json have them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


class Registry(Protocol):
    """The port. Every method raises PipelineError when the registry cannot be asked."""

    def published(self, names: Sequence[str]) -> Mapping[str, Published]:
        """What the registry has of these containers."""

    def recorded(self, name: str, published: Published) -> Record | None:
        """What is recorded with the container's newest image; None when nothing is."""

    def image(self, name: str, tag: str) -> Image | None:
        """One image of a container, asked for now."""

    def join(self, name: str, tag: str, parts: Mapping[str, str]) -> bool:
        """Let `tag` mean the images for several platforms (platform → tag); False when somebody else has done it."""

    def login(self) -> Login:
        """Credentials for Docker."""
