"""What is read from a Dockerfile."""

import pytest

from pipeline.images.dockerfile import parse


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        ("FROM x\nCOPY src /src", True),
        ("FROM x\nADD src /src", True),
        ("FROM x\nCOPY --chown=1:1 src /src", True),
        ("FROM x\nCOPY --from=build /a /b", False),
        ("FROM x\nCOPY --link --from=build /a /b", False),
        ("FROM x\nADD https://example.com/a /a", False),
        ("FROM x\nCOPY <<EOF /a\nCOPY src /src\nEOF\n", False),
        ("FROM x\nRUN <<EOF\nCOPY src /src\nEOF\nRUN y", False),
        ("FROM x\nRUN echo \\\n  # COPY a b\n  COPY", False),
        ("FROM x\n# COPY a b", False),
    ],
)
def test_it_is_known_whether_files_of_the_context_are_copied(text: str, copies: bool) -> None:
    assert parse(text).copies_files is copies


def test_an_argument_inside_a_stage_is_no_base() -> None:
    assert not parse("FROM x\nARG BASE_IMAGE\n").declares_base
    assert not parse("ARG BASE_IMAGES\nFROM x\n").declares_base


@pytest.mark.parametrize(
    ("target", "base"), [("", "scratch"), ("run", "debian:12"), ("RUN", "debian:12"), ("test", "debian:12")]
)
def test_the_image_a_stage_goes_back_to_is_found_through_other_stages(target: str, base: str) -> None:
    text = "FROM debian:12 AS packages\nFROM packages AS run\nFROM run AS test\nFROM scratch"
    assert parse(text).base_of(target) == base


def test_a_stage_named_like_its_image_is_no_loop() -> None:
    assert parse("FROM python AS python\nFROM python AS python\n").base_of("") == "python"


def test_stages_are_found_without_regard_to_case() -> None:
    assert parse("FROM x AS Test").has_stage("test")
    assert not parse("FROM x AS Test").has_stage("tests")


@pytest.mark.parametrize(
    ("run", "secrets"),
    [
        ("RUN --mount=type=secret,id=a x", {"a"}),
        ("RUN --mount=type=secret,target=/etc/b.conf,id=a x", {"a"}),
        ("RUN --mount=type=secret,dst=/etc/b.conf x", {"b.conf"}),
        ("RUN --mount=type=secret,id=a --network=none --mount=type=secret,id=b \\\n x", {"a", "b"}),
        ("RUN --mount=type=cache,id=a x", set()),
        ("RUN x --mount=type=secret,id=a", set()),
        ("# RUN --mount=type=secret,id=a x", set()),
    ],
)
def test_the_secrets_that_are_mounted_are_known(run: str, secrets: set[str]) -> None:
    assert parse(f"FROM x\n{run}\n").secrets == secrets
