"""Which images must be rebuilt, and why: a pure comparison of what the tree wants with what the registry has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.images.content import VERSION, content_tag
from pipeline.images.inputs import Inputs
from pipeline.images.record import Record, differences

REASONS_SHOWN = 4


@dataclass(frozen=True)
class Image:
    """An image in the registry.

    Attributes:
        digest: Of its manifest, `sha256:…`.
        size: Bytes, compressed, as the registry counts.
    """

    digest: str
    size: int


@dataclass(frozen=True)
class Published:
    """What the registry has of one container.

    Attributes:
        uri: The repository's address, "" when there is no repository.
        images: Tag → image.
        newest: The tag that was pushed last, "" when there is none.
        recorded: What is recorded with the newest image, when it was asked for and anything is.
        unread: Why that could not be read, "" when it could.
        account: Whose registry has no repository of that name, as far as it says.
    """

    uri: str
    images: Mapping[str, Image]
    newest: str = ""
    recorded: Record | None = None
    unread: str = ""
    account: str = ""


@dataclass(frozen=True)
class UpToDate:
    """The registry has exactly this content."""

    name: str
    tag: str
    image: Image

    @property
    def reason(self) -> str:
        """For a table."""
        return "the registry has this content"


@dataclass(frozen=True)
class Rebuild:
    """The image must be built; `reasons` has at least one."""

    name: str
    tag: str
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """For a table: the first few reasons."""
        shown, more = self.reasons[:REASONS_SHOWN], len(self.reasons) - REASONS_SHOWN
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


Verdict = UpToDate | Rebuild


@dataclass(frozen=True)
class Plan:
    """A verdict for each container, bases first."""

    verdicts: tuple[Verdict, ...]

    @property
    def rebuilds(self) -> tuple[Rebuild, ...]:
        """What must be built, bases first."""
        return tuple(verdict for verdict in self.verdicts if isinstance(verdict, Rebuild))


def missing(inputs: Mapping[str, Inputs], published: Mapping[str, Published]) -> Sequence[str]:
    """Names of the containers whose content the registry does not have, in the order of `inputs`."""
    return [name for name, each in inputs.items() if content_tag(each) not in published[name].images]


def make_plan(inputs: Mapping[str, Inputs], published: Mapping[str, Published]) -> Plan:
    """Decide for every container.

    | the registry has | verdict | reason |
    | --- | --- | --- |
    | an image with this content tag | up to date | |
    | no repository | rebuild | new container: no repository yet, and in which account |
    | no image in its repository | rebuild | new container |
    | a newest image with a tag of another encoding | rebuild | the encoding of tags changed, and: |
    | a newest image with other inputs | rebuild | each difference, in words |
    | … of which only the base differs | rebuild | based on NAME, which is rebuilt, or: which changed |
    | a newest image with the same inputs | rebuild | image is missing from the registry |
    | a newest image that records no inputs | rebuild | content changed |
    | a newest image whose record cannot be read | rebuild | content changed, and why it cannot be read |

    Args:
        inputs: Container → its inputs, bases first.
        published: Container → what the registry has, with the recorded inputs of those that are `missing`.
    """
    absent = set(missing(inputs, published))
    verdicts: list[Verdict] = []
    for name, wanted in inputs.items():
        tag = content_tag(wanted)
        if name in absent:
            verdicts.append(Rebuild(name, tag, _reasons(wanted, published[name], absent)))
        else:
            verdicts.append(UpToDate(name, tag, published[name].images[tag]))
    return Plan(tuple(verdicts))


def _reasons(wanted: Inputs, published: Published, absent: set[str]) -> tuple[str, ...]:
    if not published.uri:
        where = f" in the account {published.account}" if published.account else ""
        return (f"new container: there is no repository for it yet{where}",)
    if not published.images:
        return ("new container",)
    recorded = published.recorded
    base = _base_reason(wanted, recorded.inputs if recorded else None, absent)
    if published.unread:
        return (f"content changed; what the newest image was made from cannot be read: {published.unread}", *base)
    if recorded is None:
        return ("content changed; the newest image does not record from what", *base)
    encoding = ("the encoding of tags changed",) if recorded.version != VERSION else ()
    return (*encoding, *differences(recorded.inputs, wanted), *base) or ("image is missing from the registry",)


def _base_reason(wanted: Inputs, recorded: Inputs | None, absent: set[str]) -> tuple[str, ...]:
    before = recorded.base if recorded else None
    if wanted.base == before and recorded is not None:
        return ()
    if wanted.base is None:
        return (f"no longer based on {before[0]}",) if before else ()
    name = wanted.base[0]
    if name in absent:
        return (f"based on {name}, which is rebuilt",)
    if before is None:
        return (f"now based on {name}",) if recorded else ()
    return (f"based on {name}, which changed",) if before[0] == name else (f"based on {name}, was on {before[0]}",)
