"""Which images Dockerfiles want, and what stand-ins are made of."""

import pytest

from pipeline.localaws.machine.base_image_plan import (
    Wanted,
    debian_sources,
    external_images,
    pip_settings,
    stand_in_dockerfile,
    stand_in_for,
    without_password,
)


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.12-slim-bookworm", ["python:3.12-slim-bookworm"]),
        ("from python:3.12 as one\nFROM one\nFROM ONE AS two\n", ["python:3.12"]),
        ("FROM --platform=linux/amd64 debian:12 AS x", ["debian:12"]),
        ("FROM scratch\nCOPY a /\n", []),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS packages\nFROM packages", []),
        ('ARG V="3.11"\nFROM python:${V}-slim\n', ["python:3.11-slim"]),
        ("# FROM nothing\nFROM \\\n  # a comment\n  busybox:1\n", ["busybox:1"]),
        ("FROM a AS s\nCOPY --from=s x y\nCOPY --from=0 x y\nCOPY --chown=1 --from=tool:2 x y", ["a", "tool:2"]),
        ("FROM a\nRUN --mount=type=bind,from=tool:1,target=/t true", ["a", "tool:1"]),
        ("FROM a\nRUN cat <<EOF\nFROM b\nEOF\nFROM c\n", ["a", "c"]),
        ("FROM a\nFROM a AS b\n", ["a"]),
        ("", []),
    ],
)
def test_external_images_are_those_the_build_does_not_make(text: str, images: list[str]) -> None:
    assert [wanted.image for wanted in external_images({"Dockerfile": text})] == images


def test_an_image_two_dockerfiles_want_is_wanted_once_by_the_first() -> None:
    assert external_images({"a": "FROM x", "b": "FROM x\nFROM y"}) == [Wanted("x", "a"), Wanted("y", "b")]


@pytest.mark.parametrize(
    ("image", "suite"),
    [
        ("python:3.12-slim-bookworm", "bookworm"),
        ("python:3.13-trixie", "trixie"),
        ("python:3", "bookworm"),
        ("python", "bookworm"),
        ("docker.io/library/python:3.11", "bookworm"),
        ("public.ecr.aws/docker/library/python:3.11", "bookworm"),
        ("debian:bullseye-slim", "bullseye"),
        ("debian", "bookworm"),
        ("python:3.12-alpine", None),
        ("python:2.7", None),
        ("mypython:3.12", None),
        ("registry.example.com/python:3.12", None),
        ("alpine:3", None),
        ("python@sha256:abc", None),
    ],
)
def test_only_official_python_and_debian_images_are_stood_in_for(image: str, suite: str | None) -> None:
    found = stand_in_for(image)
    assert (found.suite if found else None) == suite


def test_pip_in_the_stand_in_uses_the_hosts_index() -> None:
    found = pip_settings(
        ["[global]\nindex-url = https://old.example/simple\n", "[global]\nindex-url = https://new.example/simple\n"], {}
    )
    assert found.index_url == "https://new.example/simple"
    assert "index-url = https://new.example/simple\n" in found.text()


def test_the_environment_overrules_pips_files() -> None:
    found = pip_settings(["[install]\nindex_url = https://a/simple"], {"PIP_INDEX_URL": "https://b/simple"})
    assert found.index_url == "https://b/simple"


def test_no_password_and_no_folder_of_the_host_gets_into_the_image() -> None:
    found = pip_settings(
        [
            (
                "[global]\nindex-url = https://user:secret@pypi.example:8443/simple\n"
                "extra-index-url = file:///opt/pypi https://u:secret@more.example/simple\nfind-links = /opt/wheels\n"
            )
        ],
        {},
    )
    assert found.index_url == "https://pypi.example:8443/simple"
    assert found.extra_index_urls == ("https://more.example/simple",)
    assert "secret" not in found.text()
    assert "/opt" not in found.text()


def test_a_url_without_a_password_stays_as_it_is() -> None:
    assert without_password("http://mirror.example/debian") == "http://mirror.example/debian"


TARGETS = """\
http://u:secret@mirror.example/debian/|bookworm|main|Debian|
http://u:secret@mirror.example/debian/|bookworm|contrib|Debian|
http://mirror.example/debian/|bookworm-updates|main|Debian|
http://mirror.example/debian-security/|bookworm-security|main||
http://other.example/apt/|bookworm|main|Somebody|
http://node.example/|nodistro|main|Debian|
"""


def test_the_mirrors_are_the_hosts_for_the_suite_that_is_wanted() -> None:
    assert debian_sources(TARGETS, "trixie", passwords=True) == [
        "deb http://u:secret@mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_the_image_gets_the_mirrors_without_passwords() -> None:
    assert "secret" not in "".join(debian_sources(TARGETS, "bookworm", passwords=False))


def test_a_stand_in_says_that_it_is_one() -> None:
    text = stand_in_dockerfile("base:1", 'it is "one"', "3.11.2", "k")
    assert 'LABEL stand-in="true" stand-in.message="it is \\"one\\"" stand-in.key="k"' in text
