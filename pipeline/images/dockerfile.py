"""What the product reads from a Dockerfile: its stages, whether it takes its base from us, whether it copies files.

Only as much of the syntax as that needs (Dockerfile reference: comments, parser directives, continuation lines, here
documents). Whether the file builds is for the builder to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

BASE_ARGUMENT = "BASE_IMAGE"

_OUR_BASE = (f"${{{BASE_ARGUMENT}}}", f"${BASE_ARGUMENT}")
_INSTRUCTION = re.compile(r"^\s*([A-Za-z]+)\s+(.*)$", re.DOTALL)
_STAGE = re.compile(r"^(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_FLAG = re.compile(r"^--\S+\s+")
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_REMOTE = re.compile(r"^(https?://|git@|<<)")


@dataclass(frozen=True)
class Stage:
    """One `FROM`: the image it starts from, as written, and its name, "" when it has none."""

    image: str
    name: str


@dataclass(frozen=True)
class Dockerfile:
    """The part of a Dockerfile that decides how we build it.

    Attributes:
        stages: In the order of the file.
        declares_base: `ARG BASE_IMAGE` stands before the first `FROM`.
        uses_base: Some `FROM` is `${BASE_IMAGE}`.
        copies_files: Some `COPY` or `ADD` takes files from the build context.
        secrets: Ids of the build secrets that some `RUN` mounts.
        copied_from: What some `COPY --from=` names: stages, or images.
    """

    stages: tuple[Stage, ...]
    declares_base: bool
    uses_base: bool
    copies_files: bool
    secrets: frozenset[str] = frozenset()
    copied_from: tuple[str, ...] = ()

    def has_stage(self, name: str) -> bool:
        """Whether a stage has that name; Docker compares without regard to case."""
        return any(stage.name.lower() == name.lower() for stage in self.stages)

    def outside_images(self) -> tuple[str, ...]:
        """The images, as written, that are pulled: those of FROM and COPY --from that are no stage and not ours."""
        found: list[str] = []
        names: set[str] = set()
        for stage in self.stages:
            if stage.image.lower() not in {*names, "scratch"} and stage.image not in _OUR_BASE:
                found.append(stage.image)
            names.add(stage.name.lower())
        found += [each for each in self.copied_from if each.lower() not in names and not each.isdigit()]
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


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile. What is not understood is passed over."""
    stages: list[Stage] = []
    declares_base = copies_files = False
    secrets: set[str] = set()
    copied_from: list[str] = []
    for word, rest in _instructions(text):
        arguments = rest
        flags: list[str] = []
        while flag := _FLAG.match(arguments):
            flags.append(flag[0].strip())
            arguments = arguments[flag.end() :]
        if word == "FROM" and (stage := _STAGE.match(arguments)):
            stages.append(Stage(stage["image"], stage["name"] or ""))
        elif word == "ARG" and not stages:
            declares_base |= re.match(rf"{BASE_ARGUMENT}\b", arguments) is not None
        elif word == "RUN":
            secrets |= {name for flag in flags for name in _mounted_secret(flag)}
        elif word in ("COPY", "ADD"):
            sources = [flag.partition("=")[2] for flag in flags if flag.startswith("--from=")]
            copied_from += sources
            copies_files |= not sources and not _REMOTE.match(arguments)
    uses_base = any(stage.image in _OUR_BASE for stage in stages)
    return Dockerfile(
        tuple(stages), declares_base, uses_base, copies_files, frozenset(secrets), tuple(dict.fromkeys(copied_from))
    )


def _mounted_secret(flag: str) -> Iterator[str]:
    """The id of the secret that a flag of RUN mounts; without an id BuildKit takes the last part of the target."""
    kind, _, value = flag.partition("=")
    options = dict(part.partition("=")[::2] for part in value.split(","))
    if kind == "--mount" and options.get("type") == "secret":
        target = options.get("target", options.get("dst", options.get("destination", "")))
        yield options.get("id") or target.rpartition("/")[2]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """(instruction in capitals, its arguments) with continuation lines joined and here documents left out."""
    lines = iter(text.splitlines())
    escape = "`" if re.match(r"^\s*#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    for first in lines:
        line = first
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.rstrip().endswith(escape):
            following = next((each for each in lines if each.strip() and not each.lstrip().startswith("#")), "")
            line = line.rstrip()[:-1] + " " + following
        found = _INSTRUCTION.match(line)
        if found is None:
            continue
        word, rest = found[1].upper(), found[2].strip()
        yield word, rest
        if word in ("RUN", "COPY", "ADD"):
            for document in _HERE_DOCUMENT.finditer(rest):
                for body in lines:
                    if body.lstrip("\t") == document[2]:
                        break
