from pathlib import Path

import pytest

from pipeline.localaws.codebuild.cache import folder_of, restore, save

SOURCE, HOME = Path("/s"), Path("/h")


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/root/.cache/pip/**/*", HOME / ".cache/pip"),
        ("/root/.npm/*", HOME / ".npm"),
        ("~/.npm", HOME / ".npm"),
        ("node_modules/**/*", SOURCE / "node_modules"),
        ("a/b", SOURCE / "a/b"),
        ("/var/lib/thing", None),
        ("../up/**/*", None),
        ("/root/../etc/**/*", None),
        ("**/*", None),
        (".", None),
        ("/root/**/*", None),
    ],
)
def test_a_path_stands_for_a_folder_of_the_build(path: str, folder: Path | None) -> None:
    assert folder_of(path, SOURCE, HOME) == folder


def test_a_folder_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    paths = ["node_modules/**/*", "/root/.cache/x/**/*", "never/there"]
    first, second, kept = tmp_path / "first", tmp_path / "second", tmp_path / "kept"
    (first / "node_modules" / "a").mkdir(parents=True)
    (first / "node_modules" / "a" / "run").write_text("1")
    (first / "node_modules" / "a" / "run").chmod(0o755)
    (first / "node_modules" / "link").symlink_to("a/run")
    (first / "home" / ".cache" / "x").mkdir(parents=True)
    assert save(paths, kept, first, first / "home") == paths[:2]
    assert restore(paths, kept, second, second / "home") == paths[:2]
    assert (second / "node_modules" / "a" / "run").stat().st_mode & 0o777 == 0o755
    assert (second / "node_modules" / "link").readlink() == Path("a/run")


def test_what_is_saved_replaces_what_was_kept(tmp_path: Path) -> None:
    source, kept = tmp_path / "source", tmp_path / "kept"
    (source / "c").mkdir(parents=True)
    (source / "c" / "old").touch()
    save(["c"], kept, source, source)
    (source / "c" / "old").rename(source / "c" / "new")
    save(["c"], kept, source, source)
    restore(["c"], kept, tmp_path / "again", tmp_path)
    assert [file.name for file in (tmp_path / "again" / "c").iterdir()] == ["new"]
