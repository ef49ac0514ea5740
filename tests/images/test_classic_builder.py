"""What Docker's SDK is told before a build: the login, since bases may be in a registry of ours."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from docker.errors import APIError

from pipeline.images.builder import BuildError, Order
from pipeline.images.classic_builder import ClassicBuilder
from tests.images.folders import write


@dataclass
class Recorder:
    """As much of Docker's SDK as builds."""

    refuses: bool = False
    told: list[Any] = field(default_factory=list)

    @property
    def api(self) -> "Recorder":
        return self

    def login(self, username: str, password: str, *, registry: str, reauth: bool) -> None:
        if self.refuses:
            raise APIError("login attempt to http://host/v2/ failed with status: 401 Unauthorized")
        self.told.append((username, password, registry, reauth))

    def build(self, **options: Any) -> Iterator[dict[str, str]]:
        self.told.append(options["tag"])
        yield {"stream": "Step 1/1 : FROM host/base:1"}


def build(client: Recorder, folder: Path, logins: dict[str, tuple[str, str]]) -> None:
    write(folder, {"Dockerfile": "FROM host/base:1\n"})
    builder = ClassicBuilder(client, logins, Event())  # type: ignore[arg-type]  # a fake
    builder.build(Order("host/x:1", folder, "linux/amd64"), lambda _line: None)


def test_the_sdk_is_logged_in_before_it_builds_and_anew(tmp_path: Path) -> None:
    client = Recorder()
    build(client, tmp_path, {"host": ("AWS", "secret")})
    assert client.told == [("AWS", "secret", "host", True), "host/x:1"]


def test_without_a_registry_there_is_no_login(tmp_path: Path) -> None:
    client = Recorder()
    build(client, tmp_path, {})
    assert client.told == ["host/x:1"]


def test_a_login_that_is_refused_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="the log-in to the registry is not valid"):
        build(Recorder(refuses=True), tmp_path, {"host": ("AWS", "old")})
