"""What every resource type is to the engine: something created, updated and deleted through its service's own API."""

import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.localaws.cloudformation.place import Place
from pipeline.localaws.cloudformation.plan import Paths
from pipeline.localaws.cloudformation.template import Document

_ALPHABET = string.ascii_uppercase + string.digits
_SUFFIX = 12  # characters, as CloudFormation's own generated names


class ResourceError(Exception):
    """A resource could not be made as wanted; the text becomes its ResourceStatusReason."""


@dataclass(frozen=True)
class Request:
    """One resource to be created, updated or deleted.

    Attributes:
        place: Where.
        stack: The stack's name.
        logical_id: The resource's name in the template.
        properties: Its properties, resolved.
        note: To be called with the physical id as soon as something exists, so that it is deleted if the rest fails.
        stopping: Set when the server ends: whoever waits gives up.
    """

    place: Place
    stack: str
    logical_id: str
    properties: Document
    note: Callable[[str], None]
    stopping: Event

    def client(self, service: str) -> Any:
        """A boto3 client in the stack's place."""
        return self.place.client(service)

    def name(self, *, longest: int = 255, lower: bool = False) -> str:
        """A name for a resource that was given none: stack, logical id, and a part that makes it unique."""
        suffix = "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX))
        room = longest - _SUFFIX - 2
        stack = self.stack[: max(room - len(self.logical_id), room // 2)]
        name = f"{stack}-{self.logical_id[: room - len(stack)]}-{suffix}"
        return name.lower() if lower else name

    def wait(self, done: Callable[[], bool], *, every: float = 0.2) -> None:
        """Ask until it is done; `every` in seconds.

        Raises:
            ResourceError: The server ended meanwhile.
        """
        while not done():
            if self.stopping.wait(every):
                raise ResourceError("the local AWS was stopped")


class Provider:
    """A resource type.

    Attributes:
        type: Its name in templates.
        implemented: The properties that are carried out; any other is refused by name.
        replaced_by: Paths of properties whose change replaces the resource, beyond those AWS's schema says.
    """

    type: ClassVar[str]
    implemented: ClassVar[frozenset[str]]
    replaced_by: ClassVar[Paths] = ()

    def create(self, request: Request) -> str:
        """Make it; returns the physical id, which is what `Ref` yields."""
        raise NotImplementedError

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - the usual case
        """Change it in place. Called as well to go back, so it must accept what a failed update left behind."""
        raise ResourceError(f"the local AWS cannot update {self.type} in place")

    def delete(self, request: Request, physical_id: str) -> None:
        """Delete it; that it is gone already is no error."""
        raise NotImplementedError

    def attributes(self, request: Request, physical_id: str) -> Document:
        """What `Fn::GetAtt` yields, beside the properties."""
        raise NotImplementedError


@contextmanager
def unless_gone(*codes: str) -> Iterator[None]:
    """Let a call pass when the service says that what it is about does not exist; a code may be given by its end."""
    try:
        yield
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith(codes):
            raise


def reason(error: Exception) -> str:
    """An exception as a ResourceStatusReason: the service's own words, and which call it was."""
    if isinstance(error, ClientError):
        detail = error.response["Error"]
        return f"{detail['Message']} (Operation: {error.operation_name}, Error Code: {detail['Code']})"
    if isinstance(error, BotoCoreError | ResourceError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def tag_map(properties: Document) -> dict[str, str]:
    """The property Tags as key → value, whichever form it has."""
    tags = properties.get("Tags") or {}
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {tag["Key"]: str(tag["Value"]) for tag in tags}


@dataclass(frozen=True)
class TagChange:
    """How tags get from one state to another: first remove the keys, then put the tags."""

    put: Mapping[str, str]
    remove: tuple[str, ...]

    @staticmethod
    def between(before: Document, after: Document) -> "TagChange":
        """From the Tags of one set of properties to those of another."""
        old, new = tag_map(before), tag_map(after)
        put = {key: value for key, value in new.items() if old.get(key) != value}
        return TagChange(put, tuple(sorted(set(old) - set(new))))

    def as_list(self, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
        """The tags to put in a service's list form."""
        return [{key: name, value: text} for name, text in self.put.items()]
