r"""The syntax of a Dockerfile, as far as we read it: directives, instructions and their lines, variables.

Dockerfile reference: parser directives, comments, continuation lines, here documents, environment replacement.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

BYTE_ORDER_MARK = "\ufeff"  # what some editors write first; no builder minds it

_INSTRUCTION = re.compile(r"^\s*([A-Za-z]+)\s+(.*)$", re.DOTALL)
_DIRECTIVE = re.compile(r"^\s*#\s*(?P<name>syntax|escape|check)\s*=\s*(?P<value>\S.*?)\s*$", re.IGNORECASE)
# BuildKit's own expression, for one whole word of the shell with its quotes (dockerfile/parser, ParseHeredoc).
_HERE_DOCUMENT = re.compile(r"\d*<<(?P<chomp>-?)(?P<end>[^<]+)")
_WORD = re.compile(r"""(?:\\.?|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""", re.DOTALL)
_QUOTE = re.compile(r"""\\(.)|["']""", re.DOTALL)
_VARIABLE = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-+?])(?P<word>[^{}$]*))?\})", re.ASCII
)
_DECLARED = re.compile(r"([A-Za-z_]\w*)(?:=((?:\"[^\"]*\"|'[^']*'|[^\s\"'])*))?", re.ASCII)


@dataclass(frozen=True)
class Directive:
    """A parser directive: its name in small letters, its value, and the number of its line, from 0."""

    name: str
    value: str
    line: int


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        word: In capitals.
        arguments: All behind it, continuation lines joined, here documents left out.
        first: The number of its first line, from 0.
        after: The number of the line behind its last one, its here documents not counted.
    """

    word: str
    arguments: str
    first: int
    after: int


def directives(text: str) -> dict[str, Directive]:
    """The parser directives; the first line that is none ends them."""
    found: dict[str, Directive] = {}
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n")):
        directive = _DIRECTIVE.match(line)
        if directive is None or directive["name"].lower() in found:
            break
        found[directive["name"].lower()] = Directive(directive["name"].lower(), directive["value"], number)
    return found


def escape_character(text: str) -> str:
    """What stands at the end of a line that goes on."""
    given = directives(text).get("escape")
    return "`" if given is not None and given.value == "`" else "\\"


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions, in the order of the file."""
    lines = text.removeprefix(BYTE_ORDER_MARK).split("\n")
    escape = escape_character(text)
    at = 0
    while at < len(lines):
        first = at
        line, at = _joined(lines, at, escape)
        found = None if _says_nothing(line) else _INSTRUCTION.match(line)
        if found is None:
            continue
        word, arguments = found[1].upper(), found[2].strip()
        yield Instruction(word, arguments, first, at)
        what = arguments.partition(" ")[0].upper() if word == "ONBUILD" else word
        if what in ("RUN", "COPY", "ADD"):
            for end, chomped in _here_documents(arguments):
                at = _behind(lines, at, end, chomped=chomped)


def declared_arguments(arguments: str) -> list[tuple[str, str | None]]:
    """The names that an `ARG` declares, each with its default as written, None without one."""
    return [(found[1], None if found[2] is None else unquoted(found[2])) for found in _DECLARED.finditer(arguments)]


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A text with its variables replaced; one whose value is not known stays as it is.

    | written | stands for |
    | --- | --- |
    | `$X`, `${X}`, `${X?why}` | the value |
    | `${X:-word}`, `${X-word}` | the value, else `word`; with the colon also instead of an empty value |
    | `${X:+word}`, `${X+word}` | `word` where there is a value, else nothing |
    """

    def value(found: re.Match[str]) -> str:
        how, known = found["how"] or "", values.get(found["plain"] or found["name"])
        counts = known is not None and (known != "" or not how.startswith(":"))
        if how.endswith("+"):
            return found["word"] if counts else ""
        if how.endswith("-") and not counts:
            return found["word"]
        return found[0] if known is None else known

    return _VARIABLE.sub(value, text)


def unquoted(text: str) -> str:
    """A word without the quotes around it or its parts."""
    return re.sub("[\"']", "", text)


def _joined(lines: list[str], at: int, escape: str) -> tuple[str, int]:
    """A line with those that continue it, and the number of the line behind them."""
    line, at = lines[at], at + 1
    if line.lstrip().startswith("#"):
        return line, at
    # As BuildKit has it (dockerfile/parser, setEscapeToken): two of them are a character of the line.
    goes_on = re.compile(rf"(?:^|[^{re.escape(escape)}]){re.escape(escape)}\s*$")
    while goes_on.search(line) and at < len(lines):
        while at < len(lines) - 1 and _says_nothing(lines[at]):
            at += 1
        following = "" if _says_nothing(lines[at]) else lines[at]
        line, at = line.rstrip()[:-1] + " " + following, at + 1
    return line, at


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _here_documents(arguments: str) -> Iterator[tuple[str, bool]]:
    r"""The line that ends each here document, and whether tabs before it do not count.

    | written | here document |
    | --- | --- |
    | `<<EOF`, `3<<EOF`, `<<"my EOF"`, `<<my.eof` | yes |
    | `<<-EOF` | yes, and tabs before its end do not count |
    | `<<< "x"`, `x<<EOF`, `$((1<<N))`, `<< EOF` | no |
    | `"<<EOF"`, or quotes that do not end | no |
    """
    if _WORD.sub("", arguments).strip():
        return
    for word in _WORD.findall(arguments):
        if (found := _HERE_DOCUMENT.fullmatch(word)) and (end := _QUOTE.sub(r"\1", found["end"])):
            yield end, bool(found["chomp"])


def _behind(lines: list[str], at: int, end: str, *, chomped: bool) -> int:
    """The number of the line behind a here document; `at` itself where it has no end, and so is none."""
    for number in range(at, len(lines)):
        line = lines[number].rstrip("\r")
        if (line.lstrip("\t") if chomped else line) == end:
            return number + 1
    return at
