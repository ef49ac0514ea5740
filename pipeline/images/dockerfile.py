"""What the product reads from a Dockerfile: its stages, whether it takes its base from us, whether it copies files.

Only as much of the syntax as that needs. Whether the file builds is for the builder to say.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.images.dockerfile_syntax import declared_arguments, directives, expanded, instructions, unquoted

BASE_ARGUMENT = "BASE_IMAGE"

_OUR_BASE = re.compile(rf"\${BASE_ARGUMENT}|\${{{BASE_ARGUMENT}(:?[-?][^{{}}]*)?}}")
_STAGE = re.compile(r"^(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_FLAG = re.compile(r"^--\S+\s+")
# What BuildKit fetches, or finds in the Dockerfile itself; what a variable stands for is not known here.
_REMOTE = re.compile(r"https?://|git@|git://|ssh://|<<|\$")
_INLINE = re.compile(r"<<")


@dataclass(frozen=True)
class Stage:
    """One `FROM`: the image it starts from, as written but for quotes, and its name, "" when it has none."""

    image: str
    name: str


@dataclass(frozen=True)
class Dockerfile:
    """The part of a Dockerfile that decides how we build it.

    Attributes:
        stages: In the order of the file.
        declares_base: `ARG BASE_IMAGE` stands before the first `FROM`.
        uses_base: Some `FROM` is `${BASE_IMAGE}`.
        copies_files: Some `COPY`, `ADD` or mount surely takes files from the build context.
        secrets: Ids of the build secrets that some `RUN` mounts.
        copied_from: What some `COPY --from=` or mount names: stages, or images.
        syntax: The image of `# syntax=`, "" without one.
        defaults: Each `ARG` before the first `FROM`, with its default as written, None without one.
    """

    stages: tuple[Stage, ...]
    declares_base: bool
    uses_base: bool
    copies_files: bool
    secrets: frozenset[str] = frozenset()
    copied_from: tuple[str, ...] = ()
    syntax: str = ""
    defaults: tuple[tuple[str, str | None], ...] = ()

    def has_stage(self, name: str) -> bool:
        """Whether a stage has that name; Docker compares without regard to case."""
        return any(stage.name.lower() == name.lower() for stage in self.stages)

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """The build arguments that a `FROM` may name, with the values that the build gives them or their defaults."""
        values: dict[str, str] = {}
        for name, default in self.defaults:
            value = given.get(name, default)
            if value is not None:
                values[name] = value if name in given else expanded(value, values)
        return values

    def outside_images(self, given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The images that are pulled, those that are no stage and not ours: (as written, as build arguments make it).

        Args:
            given: Values of build arguments; what is not among them has its default.
        """
        values = self.values(given)
        found: list[tuple[str, str]] = [(self.syntax, self.syntax)] if self.syntax else []
        names: set[str] = set()
        for stage in self.stages:
            image = expanded(stage.image, values)
            if image.lower() not in {*names, "scratch"} and not is_our_base(stage.image):
                found.append((stage.image, image))
            names.add(stage.name.lower())
        found += [(each, each) for each in self.copied_from if each.lower() not in names and not each.isdigit()]
        return tuple(dict.fromkeys(found))

    def base_of(self, target: str) -> str:
        """The image, as written, that a stage or (for "") the last one goes back to; "" when there is no stage."""
        at = len(self.stages) - 1
        names = [stage.name.lower() for stage in self.stages]
        if target.lower() in names and target:
            at = names.index(target.lower())
        while at >= 0:
            image = self.stages[at].image
            earlier = names[:at]
            if image.lower() not in earlier:
                return image
            at = len(earlier) - 1 - earlier[::-1].index(image.lower())
        return ""


def is_our_base(image: str) -> bool:
    """Whether a `FROM` names the base that the build gives, with or without a default for other builders."""
    return _OUR_BASE.fullmatch(image) is not None


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile. What is not understood is passed over."""
    stages: list[Stage] = []
    defaults: list[tuple[str, str | None]] = []
    copies_files = False
    secrets: set[str] = set()
    copied_from: list[str] = []
    for each in instructions(text):
        arguments = each.arguments
        flags: list[str] = []
        while flag := _FLAG.match(arguments):
            flags.append(flag[0].strip())
            arguments = arguments[flag.end() :]
        if each.word == "FROM" and (stage := _STAGE.match(arguments)):
            stages.append(Stage(unquoted(stage["image"]), stage["name"] or ""))
        elif each.word == "ARG" and not stages:
            defaults += declared_arguments(arguments)
        elif each.word == "RUN":
            for mount in _mounts(flags):
                secrets |= _secret(mount)
                copied_from += [mount["from"]] if "from" in mount else []
                copies_files |= mount.get("type", "bind") == "bind" and "from" not in mount
        elif each.word in ("COPY", "ADD"):
            sources = [unquoted(flag.partition("=")[2]) for flag in flags if flag.startswith("--from=")]
            copied_from += sources
            elsewhere = _REMOTE if each.word == "ADD" else _INLINE
            copies_files |= not sources and not all(map(elsewhere.match, _sources(arguments)))
    syntax = directives(text).get("syntax")
    return Dockerfile(
        tuple(stages),
        declares_base=any(name == BASE_ARGUMENT for name, _ in defaults),
        uses_base=any(is_our_base(stage.image) for stage in stages),
        copies_files=copies_files,
        secrets=frozenset(secrets),
        copied_from=tuple(dict.fromkeys(copied_from)),
        syntax=syntax.value.split()[0] if syntax else "",
        defaults=tuple(defaults),
    )


def _sources(arguments: str) -> list[str]:
    """What a COPY or ADD copies: all but its last argument; both are also written as lists in JSON."""
    try:
        listed = json.loads(arguments)
    except (ValueError, RecursionError):
        listed = None
    words = [str(word) for word in listed] if isinstance(listed, list) else [unquoted(w) for w in arguments.split()]
    return words[:-1]


def _mounts(flags: list[str]) -> Iterator[dict[str, str]]:
    """The options of each mount of a RUN."""
    for flag in flags:
        kind, _, value = flag.partition("=")
        if kind == "--mount":
            yield dict(part.partition("=")[::2] for part in unquoted(value).split(","))


def _secret(mount: Mapping[str, str]) -> set[str]:
    """The id of the secret that is mounted; without an id BuildKit takes the last part of the target."""
    if mount.get("type") != "secret":
        return set()
    target = mount.get("target", mount.get("dst", mount.get("destination", "")))
    return {mount.get("id") or target.rpartition("/")[2]}
