"""Base images: which ones Dockerfiles ask for, and what a stand-in for one of them is made of. Values only."""

import configparser
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

FORMAT = "1"  # part of every key: raise it when a stand-in is made in another way
PACKAGES: Final = ("python3", "python3-pip", "python3-venv", "ca-certificates")
SUITES: Final = ("bookworm", "trixie", "bullseye")  # the first where a tag names none
LABEL = "stand-in"
MESSAGE_LABEL = "stand-in.message"
KEY_LABEL = "stand-in.key"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_OFFICIAL = re.compile(
    r"(?:docker\.io/(?:library/)?|public\.ecr\.aws/docker/library/)?(?P<name>python|debian)(?::(?P<tag>[\w.-]+))?"
)


@dataclass(frozen=True)
class Wanted:
    """An image that a Dockerfile takes from elsewhere, as written."""

    image: str
    dockerfile: str


def external_images(dockerfiles: Mapping[str, str]) -> list[Wanted]:
    """What the Dockerfiles (name → text) need of other people's images, each once, in the order of the files.

    | written | external |
    | --- | --- |
    | `FROM python:3.12` | yes |
    | `FROM python:${VERSION}` after `ARG VERSION=3.12` | yes: `python:3.12` |
    | `FROM ${BASE_IMAGE}` after `ARG BASE_IMAGE` | no: the build says which |
    | `FROM stage`, `FROM scratch` | no |
    | `COPY --from=IMAGE`, `RUN --mount=from=IMAGE` | yes, unless it is a stage, by name or number |
    """
    found: dict[str, Wanted] = {}
    for name, text in dockerfiles.items():
        for image in _images_of(text):
            found.setdefault(image, Wanted(image, name))
    return list(found.values())


def _images_of(text: str) -> Iterator[str]:
    stages: set[str] = {"scratch"}
    arguments: dict[str, str] = {}
    in_a_stage = False
    for word, rest in _instructions(text):
        if word == "ARG" and not in_a_stage:
            key, equals, value = rest.strip().partition("=")
            if equals:
                arguments[key] = value.strip("\"'")
        sources = re.findall(r"--(?:from=|mount=\S*?\bfrom=)([^\s,]+)", rest) if word in {"COPY", "ADD", "RUN"} else []
        if word == "FROM":
            in_a_stage = True
            words = [each for each in rest.split() if not each.startswith("--")]
            sources = words[:1]
        for source in sources:
            image = _VARIABLE.sub(lambda m: arguments.get(m[1] or m[2], m[0]), source)
            if image.lower() not in stages and not image.isdigit() and "$" not in image:
                yield image
        if word == "FROM" and len(words) > 2 and words[1].upper() == "AS":  # noqa: PLR2004 - IMAGE AS NAME
            stages.add(words[2].lower())


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Instructions with their arguments: continuation lines joined, comments and here documents left out."""
    lines = iter(text.splitlines())
    for first in lines:
        line = first
        if line.lstrip().startswith("#"):
            continue
        while line.rstrip().endswith("\\"):
            following = next((each for each in lines if not each.lstrip().startswith("#")), "")
            line = line.rstrip()[:-1] + " " + following
        if match := _INSTRUCTION.match(line):
            for here in _HERE_DOCUMENT.finditer(line):
                for body in lines:
                    if body.strip() == here[2]:
                        break
            yield match[1].upper(), match[2]


@dataclass(frozen=True)
class StandIn:
    """What can stand in for an image: Debian of that suite with Debian's own Python."""

    image: str
    suite: str


def stand_in_for(image: str) -> StandIn | None:
    """The stand-in for an official `python:3…` or `debian` image; None for what a Debian would misrepresent."""
    official = _OFFICIAL.fullmatch(image)
    if official is None:
        return None
    tag = official["tag"] or "latest"
    if re.search(r"alpine|windows|onbuild", tag) or (
        official["name"] == "python" and not re.match(r"3|slim|latest", tag)
    ):
        return None
    return StandIn(image, next((suite for suite in SUITES if suite in tag), SUITES[0]))


@dataclass(frozen=True)
class PipSettings:
    """What pip in the stand-in needs to reach the index the host uses; no passwords, they would stay in a layer."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()

    def text(self) -> str:
        """As /etc/pip.conf."""
        lines = ["[global]", f"cert = {BUNDLE}"]
        lines += [f"index-url = {self.index_url}"] if self.index_url else []
        lines += [f"extra-index-url = {' '.join(self.extra_index_urls)}"] if self.extra_index_urls else []
        lines += [f"trusted-host = {' '.join(self.trusted_hosts)}"] if self.trusted_hosts else []
        return "\n".join(lines) + "\n"


def pip_settings(files: Sequence[str], environment: Mapping[str, str]) -> PipSettings:
    """The host's settings, from the text of its pip.conf files, the more specific later, and its environment.

    Indexes in folders of the host are left out: a container does not see them.
    """
    merged: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        for section in ("global", "install"):
            if parser.has_section(section):
                merged.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    for key in ("index-url", "extra-index-url", "trusted-host"):
        if value := environment.get(f"PIP_{key.replace('-', '_').upper()}"):
            merged[key] = value
    indexes = _urls(merged.get("index-url", ""))
    return PipSettings(
        index_url=indexes[0] if indexes else "",
        extra_index_urls=tuple(_urls(merged.get("extra-index-url", ""))),
        trusted_hosts=tuple(merged.get("trusted-host", "").split()),
    )


def _urls(text: str) -> list[str]:
    return [without_password(url) for url in text.split() if url.startswith(("http://", "https://"))]


def without_password(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def debian_sources(index_targets: str, suite: str, *, passwords: bool) -> list[str]:
    """The mirrors the host takes Debian from, as lines of sources.list for a suite.

    Args:
        index_targets: From `apt-get indextargets`, lines `URI|RELEASE|COMPONENT|ORIGIN`.
        suite: Any of `SUITES`; the host may run another.
        passwords: Keep those that stand in the addresses; never for an image.
    """
    found = []
    for line in index_targets.splitlines():
        uri, release, component, origin = (line.split("|") + [""] * 3)[:4]
        codename, _, pocket = release.partition("-")
        known = codename in SUITES and pocket in {"", "updates", "security"}
        if component == "main" and known and origin in {"Debian", ""}:
            address = (uri if passwords else without_password(uri)).rstrip("/")
            found.append(f"deb {address} {'-'.join(filter(None, [suite, pocket]))} main")
    return list(dict.fromkeys(found))


def bootstrap_key(suite: str, architecture: str) -> str:
    """The name of the cached Debian system: what decides it, but for the mirror and the day."""
    made_of = json.dumps([FORMAT, suite, architecture, PACKAGES])
    return f"debian-{suite}-{architecture}-{hashlib.sha256(made_of.encode()).hexdigest()[:10]}"


def bootstrap_hook() -> str:
    """Shell commands that finish the system in the folder `$1`."""
    return "; ".join(
        [
            'rm -rf "$1"/usr/share/man/* "$1"/usr/share/info/* "$1"/usr/share/locale/*',
            'find "$1"/usr/share/doc -type f ! -name copyright -delete',
            # The mirrors' addresses may hold passwords; the image gets them without.
            'rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
            # As in the official image: pip may install beside the system's packages, and Python is `python`.
            'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            'ln -sf /usr/bin/python3 "$1"/usr/local/bin/python',
            # Debian's OpenSSL reads a folder of certificates only; the host's come as one bundle.
            f'ln -sf {BUNDLE} "$1"/usr/lib/ssl/cert.pem',
        ]
    )


def bootstrap_command(folder: str, suite: str, tarball: str, sources: Sequence[str]) -> list[str]:
    """The command that makes the system's tarball.

    It runs in a mount namespace of its own, with a file system in memory on `folder`: on a disk most of the time goes
    into making 10,000 files, and this mount is gone when the command ends, however it ends.
    """
    script = 'mount -t tmpfs -o mode=755 pipeline-base-image "$TMPDIR" && exec "$@"'
    return [
        *("unshare", "--mount", "--", "env", f"TMPDIR={folder}", "sh", "-c", script, "sh"),
        *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}", "--format=tar"),
        *("--dpkgopt=force-unsafe-io", f"--customize-hook={bootstrap_hook()}"),
        *(suite, tarball, *sources),
    ]


def stand_in_dockerfile(base: str, message: str, python: str, key: str) -> str:
    """What turns the Debian system into the stand-in of one image: the host's certificates and settings, and labels.

    Args:
        base: The imported system's image.
        message: What the label tells people.
        python: The version it really has, e.g. `3.11.2`.
        key: Decides whether a stand-in that is there already is still the right one.
    """
    return f"""FROM {base}
COPY ca-certificates.crt {BUNDLE}
COPY pip.conf /etc/pip.conf
COPY sources.list /etc/apt/sources.list
ENV LANG=C.UTF-8 PYTHON_VERSION={python}
LABEL {LABEL}="true" {MESSAGE_LABEL}={json.dumps(message)} {KEY_LABEL}="{key}"
CMD ["python3"]
"""


def stand_in_message(stand_in: StandIn, python: str) -> str:
    """What people must know of it."""
    return (
        f"stand-in for {stand_in.image}, which cannot be pulled here: Debian {stand_in.suite} with its Python {python}"
    )
