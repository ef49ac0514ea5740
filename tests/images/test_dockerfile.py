"""What is read from a Dockerfile."""

import pytest

from pipeline.images.dockerfile import parse
from pipeline.images.dockerfile_syntax import declared_arguments, directives, expanded, instructions


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        ("FROM x\nCOPY src /src", True),
        ("FROM x\nADD src /src", True),
        ("FROM x\nCOPY --chown=1:1 src /src", True),
        ("FROM x\nCOPY --from=build /a /b", False),
        ("FROM x\nCOPY --link --from=build /a /b", False),
        ("FROM x\nADD https://example.com/a /a", False),
        ('FROM x\nADD ["https://example.com/a", "/a"]', False),
        ('FROM x\nADD "https://example.com/a" /a', False),
        ('FROM x\nADD ["a b", "/a"]', True),
        ("FROM x\nADD ${URL}/x /x", False),
        ("FROM x\nCOPY ${NAME} /x", True),
        ("FROM x\nCOPY https://example.com/a /a", True),
        ("FROM x\nADD https://example.com/a src /a/", True),
        ("FROM x\nADD git@github.com:moby/buildkit.git /a", False),
        ("FROM x\nCOPY " + "[" * 5000, False),
        ("FROM x\nCOPY <<EOF /a\nCOPY src /src\nEOF\n", False),
        ("FROM x\nRUN <<EOF\nCOPY src /src\nEOF\nRUN y", False),
        ("FROM x\nRUN echo \\\n  # COPY a b\n  COPY", False),
        ("FROM x\n# COPY a b", False),
        ("FROM x\nRUN --mount=type=bind,target=/src make", True),
        ("FROM x\nRUN --mount=target=/src make", True),
        ("FROM x\nRUN --mount=type=bind,from=y,target=/src make", False),
        ("FROM x\nRUN --mount=type=cache,target=/src make", False),
    ],
)
def test_it_is_known_whether_files_of_the_context_are_copied(text: str, copies: bool) -> None:
    assert parse(text).copies_files is copies


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("RUN cat <<EOF", "EOF"),
        ("RUN cat 3<<EOF >x", "EOF"),
        ("RUN cat <<my.eof && y", "my.eof"),
        ('RUN cat <<"end.of.file"', "end.of.file"),
        ("RUN cat <<'end of file' > /x", "end of file"),
        (r"RUN cat <<\EOF", "EOF"),
        ("RUN cat <<-EOF", "\t\tEOF"),
        ("RUN cat <<EOF", "EOF\r"),
        ("COPY <<A <<B /x/", "A\nFROM no\nB"),
        ("ONBUILD RUN cat <<EOF", "EOF"),
        ("RUN echo \"it's\" 'a \"b' <<EOF", "EOF"),
    ],
)
def test_what_stands_in_a_here_document_is_no_instruction(line: str, then: str) -> None:
    found = list(instructions(f"FROM x\n{line}\nFROM no\n{then}\nFROM y\n"))
    assert [each.arguments for each in found if each.word == "FROM"] == ["x", "y"]


@pytest.mark.parametrize(
    "line",
    [
        'RUN read -r w <<< "EOF"',
        "RUN echo $((1<<EOF)) > /n",
        "RUN echo '<<EOF' \"<<EOF\"",
        "RUN echo x<<EOF",
        "RUN cat << EOF",
        r"RUN echo \<<EOF",
        "RUN echo it's <<EOF",
        'RUN ["sh", "-c", "cat <<EOF"]',
        "RUN cat <<''",
        "RUN cat <<E",
        "ENV X <<EOF",
        "ONBUILD ENV X <<EOF",
    ],
)
def test_two_angles_that_begin_no_here_document_hide_nothing(line: str) -> None:
    found = list(instructions(f"FROM x\n{line}\nFROM y\nEOF x\n\nEOF\n"))
    assert [each.arguments for each in found if each.word == "FROM"] == ["x", "y"]


def test_tabs_before_the_end_of_a_here_document_count_unless_it_is_written_with_a_hyphen() -> None:
    assert [each.word for each in instructions("RUN cat <<EOF\n\tEOF\nFROM y\nEOF\n")] == ["RUN"]


@pytest.mark.parametrize(
    ("end", "goes_on"),
    [("\\", True), ("\\ \t", True), ("\\\r", True), ("\\\\", False), ("\\\\\\", False), ("`", False)],
)
def test_a_line_goes_on_behind_one_backslash_and_ends_with_two(end: str, goes_on: bool) -> None:
    found = list(instructions(f"RUN echo a{end}\nFROM x AS test\n"))
    assert [each.word for each in found] == ["RUN"] + ["FROM"] * (not goes_on)


def test_a_secret_behind_a_shift_is_handed_over() -> None:
    text = "FROM x\nRUN N=3; echo $((1<<N)) > /n\nRUN --mount=type=secret,id=tok true\n"
    assert parse(text).secrets == {"tok"}


def test_a_byte_order_mark_belongs_to_no_instruction() -> None:
    assert parse("\ufeffARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n").declares_base
    assert parse("\ufeffFROM python:3.12\n").base_of("") == "python:3.12"
    assert parse("\ufeffFROM python:3.12\n").outside_images({}) == (("python:3.12", "python:3.12"),)
    assert directives("\ufeff# escape=`\nFROM x\n")["escape"].value == "`"


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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$X-${X}", "1-1"),
        ("${X:-2}${Y:-2}${E:-2}${E-2}", "122"),
        ("${X:+2}${Y:+2}${E:+2}${E+2}", "22"),
        ("${X?why}${Y?why}", "1${Y?why}"),
        ("$Y ${Y} ${Y:-${X}}", "$Y ${Y} ${Y:-1}"),
    ],
)
def test_variables_are_replaced_as_docker_does_and_unknown_ones_stay(written: str, meant: str) -> None:
    assert expanded(written, {"X": "1", "E": ""}) == meant


def test_the_arguments_before_the_first_stage_have_their_defaults_and_the_teams_values() -> None:
    found = parse("ARG A=1 B=\"x y\"\nARG C=$A-'2'\nARG D\nFROM x\nARG E=5\n")
    assert found.values({}) == {"A": "1", "B": "x y", "C": "1-2"}
    assert found.values({"A": "3", "D": "4", "E": "5"}) == {"A": "3", "B": "x y", "C": "3-2", "D": "4"}
    assert declared_arguments("A B= C=c") == [("A", None), ("B", ""), ("C", "c")]
