"""Packages of an image, from the databases in its file system; and the SBOM made of them."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from pipeline.errors import PipelineError
from pipeline.images.checks.packages import Contents, Package, contents
from pipeline.images.checks.sbom import contents_of, document

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u8
Description: GNU C Library
 with a second line: that is none

Package: gone
Status: deinstall ok config-files
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a-0+deb12u1
"""


def archive(files: Mapping[str, str]) -> io.BytesIO:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("etc/os-release")
        link.type, link.linkname = tarfile.SYMTYPE, "../usr/lib/os-release"
        tar.addfile(link)
    raw.seek(0)
    return raw


def test_packages_of_debian_and_python_are_listed() -> None:
    found = contents(
        archive(
            {
                "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
                "var/lib/dpkg/status": STATUS,
                "opt/venv/lib/python3/site-packages/Foo_Bar-1.0.dist-info/METADATA": "Name: Foo_Bar\nVersion: 1.0\n",
                "usr/lib/python3/dist-packages/old.egg-info/PKG-INFO": "Name: old\nVersion: 2\n",
                "root/METADATA": "Name: no\nVersion: 1\n",
            }
        )
    )
    assert found == Contents(
        (
            Package("deb", "libc6", "2.36-9+deb12u8", "amd64"),
            Package("deb", "tzdata", "2024a-0+deb12u1", "all"),
            Package("pypi", "foo-bar", "1.0"),
            Package("pypi", "old", "2"),
        ),
        "debian-12",
    )


def test_packages_of_alpine_and_of_distroless_images_are_listed() -> None:
    found = contents(
        archive(
            {
                "lib/apk/db/installed": "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\n\nP:zlib\nV:1.3-r1\n",
                "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
                "var/lib/dpkg/status.d/base.md5sums": "0 x\n",
            }
        )
    )
    assert [package.name for package in found.packages] == ["musl", "zlib", "base-files"]


def test_an_image_whose_list_would_be_incomplete_is_refused() -> None:
    with pytest.raises(PipelineError, match="RPM"):
        contents(archive({"var/lib/rpm/rpmdb.sqlite": "x"}))


def test_an_sbom_names_the_image_its_packages_and_what_it_leaves_out() -> None:
    found = Contents((Package("deb", "libc6", "2.36", "amd64"), Package("pypi", "boto3", "1.40")), "debian-12")
    bom = json.loads(document("etl/base", "t" * 32, "linux/amd64", found))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"] | {"bom-ref": ""} == {
        "bom-ref": "",
        "name": "etl/base",
        "version": "t" * 32,
        "type": "container",
    }
    assert sorted(each["purl"] for each in bom["components"]) == [
        "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12",
        "pkg:pypi/boto3@1.40",
    ]
    assert "nothing that was compiled" in json.dumps(bom["metadata"]["properties"])


@dataclass
class HalfAnExport:
    """Docker's SDK, with an engine that gives half an image's file system and forgets the rest."""

    removed: bool = False

    @property
    def containers(self) -> "HalfAnExport":
        return self

    def create(self, image: str, command: list[str], *, network_disabled: bool) -> "HalfAnExport":
        assert (image, command, network_disabled) == ("host/x:1", ["none"], True)
        return self

    def export(self) -> Iterator[bytes]:
        yield archive({"var/lib/dpkg/status": STATUS * 99}).getvalue()[:2048]

    def remove(self, *, force: bool, v: bool) -> None:
        self.removed = force and v


def test_an_export_that_ends_early_is_a_sentence_and_nothing_is_left() -> None:
    engine = HalfAnExport()
    with pytest.raises(PipelineError, match="contents cannot be read") as error:
        contents_of(engine, "host/x:1")  # type: ignore[arg-type]  # a fake
    assert error.value.where == "host/x:1"
    assert engine.removed
