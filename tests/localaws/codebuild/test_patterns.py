from pathlib import Path

import pytest

from pipeline.localaws.codebuild.patterns import files_below, select

PATHS = ["a.txt", ".hidden", "b/c.txt", "b/.git/config", "b/d/e.xml", "b/d/f.txt", "odd[1].txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*", PATHS),
        ("*", ["a.txt", ".hidden", "odd[1].txt"]),
        ("**/*.txt", ["a.txt", "b/c.txt", "b/d/f.txt", "odd[1].txt"]),
        ("b/**/*", ["b/c.txt", "b/.git/config", "b/d/e.xml", "b/d/f.txt"]),
        ("b/**", ["b/c.txt", "b/.git/config", "b/d/e.xml", "b/d/f.txt"]),
        ("b/*", ["b/c.txt"]),
        ("b", []),
        ("./a.txt", ["a.txt"]),
        ("b/?/*.{xml,txt}", ["b/d/e.xml", "b/d/f.txt"]),
        ("b/d/[a-e].*", ["b/d/e.xml"]),
        ("b/d/[!e].*", ["b/d/f.txt"]),
        ("a.txt.more", []),
        ("a[", []),
        ("axtxt", []),
    ],
)
def test_patterns_mean_what_codebuild_makes_of_them(pattern: str, expected: list[str]) -> None:
    assert select(PATHS, [pattern]) == sorted(expected)


def test_excluded_paths_are_left_out() -> None:
    assert select(PATHS, ["**/*"], ["b/**/*", ".*"]) == ["a.txt", "odd[1].txt"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert sorted(files_below(tmp_path)) == ["a/file"]
    assert sorted(files_below(tmp_path, follow_links=False)) == ["a/back", "a/file", "dangling"]
