"""moby's rules for `.dockerignore`, row by row, and that what cannot be read as Docker does is refused."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.images.dockerignore import parse, sent_files
from tests.images.folders import write

TREE = [
    "README.md",
    "a.txt",
    "A.txt",
    "b.py",
    "docs/README.md",
    "docs/guide/README.md",
    "docs/guide/deep/x.txt",
    "src/a.py",
    "src/cache/one/two/x.pyc",
    "src/*.txt",
]

# ignore file → what is sent of TREE
ROWS: list[tuple[str, str]] = [
    # nothing, comments, white space, line ends, byte order mark
    ("", " ".join(TREE)),
    ("# docs\n\n   \n", " ".join(TREE)),
    ("  docs  \r\nsrc\r\n", "README.md a.txt A.txt b.py"),
    ("\ufeffdocs\nsrc", "README.md a.txt A.txt b.py"),
    (" # docs", " ".join(TREE)),  # a pattern: the comment sign stands first, or it is none
    # a path, with slashes around it or parts that say nothing
    ("docs/\n/src", "README.md a.txt A.txt b.py"),
    ("./docs\nx/../src", "README.md a.txt A.txt b.py"),
    ("docs/guide", "README.md a.txt A.txt b.py docs/README.md src/a.py src/cache/one/two/x.pyc src/*.txt"),
    (".\n/\n..", " ".join(TREE)),
    # wildcards within a part; case counts
    ("*.txt\nsrc\ndocs", "README.md b.py"),
    ("a*", " ".join(path for path in TREE if path != "a.txt")),
    ("?.txt\nsrc\ndocs", "README.md b.py"),
    ("[a-b].*\nsrc\ndocs", "README.md A.txt"),
    ("[^a].*\nsrc\ndocs", "README.md a.txt"),
    ("*/*.md\nsrc", "README.md a.txt A.txt b.py docs/guide/README.md docs/guide/deep/x.txt"),
    # any number of parts
    ("**/README.md\nsrc", "a.txt A.txt b.py docs/guide/deep/x.txt"),
    ("**/cache\ndocs", "README.md a.txt A.txt b.py src/a.py src/*.txt"),
    ("docs/**\nsrc/**", "README.md a.txt A.txt b.py"),
    ("**", ""),
    ("**/*.txt\nsrc\ndocs/R*", "README.md b.py docs/guide/README.md"),
    ("**x.txt\nsrc", "README.md a.txt A.txt b.py docs/README.md docs/guide/README.md"),
    ("docs**/*.md\nsrc", "README.md a.txt A.txt b.py docs/guide/deep/x.txt"),
    # escapes
    (r"src/\*.txt", " ".join(path for path in TREE if path != "src/*.txt")),
    # exceptions: the last line that matches decides
    ("docs\n!docs/README.md\nsrc", "README.md a.txt A.txt b.py docs/README.md"),
    ("docs\n!docs/README.md\ndocs/*.md\nsrc", "README.md a.txt A.txt b.py"),
    ("!docs/README.md\ndocs\nsrc", "README.md a.txt A.txt b.py"),
    ("*\n!docs/guide", "docs/guide/README.md docs/guide/deep/x.txt"),
    ("*\n! /docs/guide/deep", "docs/guide/deep/x.txt"),
    ("*\n/!docs/guide/deep", "docs/guide/deep/x.txt"),
    ("*\n!src\nsrc/cache", "src/a.py src/*.txt"),
    # an exception with a wildcard reaches into an excluded folder, as BuildKit has it
    ("*\n!**/*.md", "README.md docs/README.md docs/guide/README.md"),
    ("docs\nsrc\n!*/guide/*.md", "README.md a.txt A.txt b.py docs/guide/README.md"),
    # a folder's exception does not reach what a line of its own excludes
    ("docs/guide\n!docs\nsrc", "README.md a.txt A.txt b.py docs/README.md"),
]


@pytest.mark.parametrize(("ignore", "sent"), ROWS)
def test_the_rows_of_the_table(tmp_path: Path, ignore: str, sent: str) -> None:
    write(tmp_path, dict.fromkeys(TREE, ""))
    assert {path for path, _ in sent_files(tmp_path, parse(ignore))} == set(sent.split())


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("!", "an exception needs a path"),
        ("! ", "an exception needs a path"),
        ("!/", "an exception needs a path"),
        ("[", "not closed"),
        ("a[b", "not closed"),
        ("[]a]", "is empty"),
        ("[-a]", "a - at its edge"),
        ("[a-]", "a - at its edge"),
        ("[b-a]", "bad character range"),
        ("a\\", "a backslash needs a character"),
        (r"\d", r"\d"),
        (r"[\w]", r"\w"),
        ("[[:alpha:]]", "means something else to Docker"),
        ("[a*]", "means something else to Docker"),
        ("a|b*", "does not read | as plain"),
        ("a{2}?", "does not read {2} as plain"),
        ("a{2,}?", "does not read {2,} as plain"),
        ("a{2,3}?", "does not read {2,3} as plain"),
    ],
)
def test_a_pattern_that_docker_refuses_or_reads_strangely_is_refused_with_its_line(pattern: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(f"# first\n{pattern}", "x/.dockerignore")
    assert error.value.where == "x/.dockerignore:2"
    assert why in error.value.what


@pytest.mark.parametrize("pattern", ["a|b", "{{name}}/*", "a{2}", "a+b(c)*", "a]b", "a{,2}*", "{[a]2}*", "{\\,2}*"])
def test_characters_that_mean_nothing_are_plain(tmp_path: Path, pattern: str) -> None:
    name = pattern.replace("*", "x").replace("[a]", "a").replace("\\", "")
    write(tmp_path, {name: "", "other": ""})
    assert [path for path, _ in sent_files(tmp_path, parse(pattern))] == ["other"]


def test_links_are_sent_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"folder/x": "", "link": "-> folder", "broken": "-> nowhere"})
    assert [path for path, _ in sent_files(tmp_path, ())] == ["broken", "folder/x", "link"]
