"""The packages an image holds, read from the databases that package managers leave in its file system.

| database | what it lists |
| --- | --- |
| `var/lib/dpkg/status`, `var/lib/dpkg/status.d/*` | Debian, Ubuntu, distroless images |
| `lib/apk/db/installed` | Alpine |
| `*.dist-info/METADATA`, `*.egg-info/PKG-INFO` | Python distributions, wherever they are installed |

Not listed: what was compiled or copied in without a package manager, and other managers' packages (RPM, npm, Go). An
image with an RPM database is refused, because its list would be almost empty and look complete.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import IO, Literal

from pipeline.errors import PipelineError

Kind = Literal["deb", "apk", "pypi"]

_DPKG = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+(?<!\.md5sums))$")
_APK = re.compile(r"(usr/)?lib/apk/db/installed$")
_PYTHON = re.compile(r"\.dist-info/METADATA$|\.egg-info/PKG-INFO$")
_RPM = re.compile(r"(var/lib/rpm|usr/lib/sysimage/rpm)/(Packages|Packages\.db|rpmdb\.sqlite)$")
_SYSTEM = re.compile(r"(etc|usr/lib)/os-release$")


@dataclass(frozen=True, order=True)
class Package:
    """An installed package."""

    kind: Kind
    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True)
class Contents:
    """What an image holds.

    Attributes:
        packages: Sorted.
        system: The distribution's id and version, `debian-12`, "" when there is none.
    """

    packages: tuple[Package, ...]
    system: str


def contents(archive: IO[bytes]) -> Contents:
    """Read an image's file system, as `docker export` streams it.

    Raises:
        PipelineError: Its packages are in a database that is not read here.
    """
    packages: set[Package] = set()
    system = ""
    with tarfile.open(fileobj=archive, mode="r|") as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            if _RPM.match(path):
                raise PipelineError("its packages are in an RPM database, which is not read")
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if _DPKG.match(path):
                packages |= set(_debian(_text(content)))
            elif _APK.match(path):
                packages |= set(_alpine(_text(content)))
            elif _PYTHON.search(path):
                packages |= set(_python(_text(content)))
            elif _SYSTEM.match(path):
                system = _system(_text(content))
    return Contents(tuple(sorted(packages)), system)


def _debian(text: str) -> Iterator[Package]:
    for paragraph in text.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph.lstrip("\n"))
        # Distroless images list what is there without a status.
        if fields["Package"] and fields["Version"] and str(fields.get("Status", "installed")).endswith("installed"):
            yield Package("deb", fields["Package"], fields["Version"], fields.get("Architecture", ""))


def _alpine(text: str) -> Iterator[Package]:
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in paragraph.splitlines() if ":" in line)
        if "P" in fields and "V" in fields:
            yield Package("apk", fields["P"], fields["V"], fields.get("A", ""))


def _python(text: str) -> Iterator[Package]:
    fields = HeaderParser().parsestr(text)
    if fields["Name"] and fields["Version"]:
        name = re.sub(r"[-_.]+", "-", str(fields["Name"])).lower()  # PyPA, "names and normalization"
        yield Package("pypi", name, str(fields["Version"]))


def _system(text: str) -> str:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    parts = [fields.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID")]
    return "-".join(part for part in parts if part)


def _text(content: IO[bytes]) -> str:
    return content.read().decode("utf-8", "replace")
