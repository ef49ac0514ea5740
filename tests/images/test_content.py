"""Content tags: what must change them does, one by one, and nothing else."""

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError, UsageError
from pipeline.git import Git
from pipeline.images.containers import Container, discover
from pipeline.images.content import TAG_LENGTH, content_tag, content_tags, encoded
from pipeline.images.context import build_context
from pipeline.images.inputs import FileInput, Inputs, link_target, read_inputs
from pipeline.process import run
from tests.images.conftest import AsNobody
from tests.images.folders import BASED, PLAIN, write

TREE = {
    "base/Dockerfile": PLAIN,
    "base/src/lib.py": "lib",
    "one/Dockerfile": BASED,
    "one/container.toml": 'base = "base"',
    "one/.dockerignore": "ignored\n**/*.pyc",
    "one/src/main.py": "main",
    "one/src/run.sh": "run",
    "one/link": "-> src/main.py",
    "two/Dockerfile": PLAIN,
    "two/data.csv": "1",
}

part = st.text("abAB.-_é ", min_size=1, max_size=6).filter(lambda name: name.strip() == name and set(name) != {"."})
trees = st.dictionaries(st.lists(part, min_size=1, max_size=3).map("/".join), st.text(max_size=20), max_size=8)


def tags(folder: Path) -> dict[str, str]:
    return content_tags(discover(folder))


def container(folder: Path, **fields: object) -> Container:
    return replace(Container(folder.name, folder), **fields)  # type: ignore[arg-type]  # any of its fields


def tag_of(found: Container, base_tag: str | None = None) -> str:
    return content_tag(read_inputs(found, base_tag))


def test_a_tag_is_one_that_ecr_takes_and_no_commit(tmp_path: Path) -> None:
    for tag in tags(write(tmp_path, TREE)).values():
        assert len(tag) == TAG_LENGTH != 40
        assert set(tag) <= set("0123456789abcdef")


def test_the_encoding_is_fixed() -> None:
    """A change here changes every tag of every project: raise the version, and say so in the release notes."""
    inputs = Inputs(
        platforms=("linux/amd64",),
        target="run",
        arguments={"B": "2", "A": "1"},
        base=("base", "abc"),
        files={"z": FileInput("link", "00"), "a/é": FileInput("executable", "ff")},
    )
    assert encoded(inputs).decode() == (
        "20:pipeline-content-tag,1:1,1:1,11:linux/amd64,3:run,1:2,1:A,1:1,1:B,1:2,1:1,4:base,3:abc,"
        "1:2,4:a/é,10:executable,2:ff,1:z,4:link,2:00,"
    )
    assert content_tag(inputs) == "b9568fcd54112c8d5307825a1c7f26b4"


# --- what must not matter


def test_the_checkouts_folder_times_owner_and_umask_do_not_matter(tmp_path: Path) -> None:
    before = tags(write(tmp_path / "a", TREE))
    old = os.umask(0o077)
    try:
        elsewhere = write(tmp_path / "deep" / "b", dict(reversed(TREE.items())))
    finally:
        os.umask(old)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, 12345, 12345, follow_symlinks=False)
        if path.is_file() and not path.is_symlink():
            path.chmod(0o666)
    assert tags(elsewhere) == before


def test_ignored_files_and_empty_folders_do_not_matter(tmp_path: Path) -> None:
    before = tags(write(tmp_path, TREE))
    write(tmp_path, {"one/ignored/x": "1", "one/src/main.pyc": "1", "one/empty/deep/": ""})
    assert tags(tmp_path) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=trees, ignored=trees, executable=st.booleans())
def test_files_that_are_ignored_do_not_change_the_tag_whatever_they_are(
    tmp_path: Path, files: dict[str, str], ignored: dict[str, str], executable: bool
) -> None:
    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    kept = {path: text for path, text in files.items() if not any(other.startswith(path + "/") for other in files)}
    ignore = "# out\nskip\n**/*.tmp\n!skip/kept\nlogs/*\n"
    always = {"Dockerfile": "FROM scratch\n", ".dockerignore": ignore, "skip/kept": "kept"}
    folder = write(tmp_path / "c", {**kept, **always})
    before = tag_of(container(folder))
    for path, text in ignored.items():
        for place in (f"skip/in/{path}~", f"{path.replace('/', '~')}~.tmp", f"logs/{path}~"):
            target = write(folder, {place.replace("/~", "~"): text}) / place.replace("/~", "~")
            target.chmod(0o755 if executable else 0o600)
    assert tag_of(container(folder)) == before
    (folder / "skip/kept").write_text("changed")
    assert tag_of(container(folder)) != before


def test_a_clone_and_a_zip_without_git_give_the_same_tags(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", TREE)
    (tree / "one/src/run.sh").chmod(0o755)
    git = ["git", "-C", str(tree), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        run([*git, *arguments])
    run(["git", "clone", "-q", str(tree), str(tmp_path / "clone")])
    Git(tree).archive("HEAD", tmp_path / "source.zip")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        for member in archive.infolist():  # as unzip does: modes and links are in the upper half, or 0
            kind = member.external_attr >> 16
            target = tmp_path / "zip" / member.filename
            if (kind & 0o170000) == 0o120000:
                target.symlink_to(archive.read(member).decode())
            else:
                archive.extract(member, tmp_path / "zip")
                if member.is_dir():
                    continue
                target.chmod(kind & 0o7777 or 0o644)
    assert tags(tmp_path / "clone") == tags(tmp_path / "zip") == tags(tree)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=trees, seed=st.randoms(use_true_random=False))
def test_the_order_in_which_files_are_made_does_not_matter(tmp_path: Path, files: dict[str, str], seed: object) -> None:
    files = {path: text for path, text in files.items() if not any(other.startswith(path + "/") for other in files)}
    files = files | {"Dockerfile": "FROM scratch\n"}
    found = []
    for name in ("x", "y"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        items = list(files.items())
        seed.shuffle(items)  # type: ignore[attr-defined]  # a Random
        found.append(tag_of(container(write(tmp_path / name, dict(items)), name="c")))
    assert found[0] == found[1]


# --- what must matter

CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "one/src/main.py").write_text("mine"),
    "a new file": lambda folder: (folder / "one/src/more.py").write_text(""),
    "a file less": lambda folder: (folder / "one/src/main.py").unlink(),
    "a file's name": lambda folder: (folder / "one/src/main.py").rename(folder / "one/src/Main.py"),
    "a file's folder": lambda folder: (folder / "one/src/main.py").rename(folder / "one/main.py"),
    "the executable bit": lambda folder: (folder / "one/src/run.sh").chmod(0o755),
    "the Dockerfile": lambda folder: (folder / "one/Dockerfile").write_text(BASED + "USER 1\n"),
    "the ignore file": lambda folder: (folder / "one/.dockerignore").write_text("ignored"),
    "a link's target": lambda folder: _replace(folder / "one/link", "-> src"),
    "how a link's target is written": lambda folder: _replace(folder / "one/link", "-> ./src//main.py"),
    "a link that becomes a file": lambda folder: _replace(folder / "one/link", "main"),
    "the target": lambda folder: _declare(folder, 'target = "x"', dockerfile=BASED.replace("}", "} AS x")),
    "a build argument": lambda folder: _declare(folder, 'arguments = {A = "1"}'),
}


def _replace(path: Path, content: str) -> None:
    path.unlink()
    write(path.parent, {path.name: content})


def _declare(folder: Path, line: str, dockerfile: str = BASED) -> None:
    (folder / "one/container.toml").write_text(f'base = "base"\n{line}')
    (folder / "one/Dockerfile").write_text(dockerfile)


@pytest.mark.parametrize("change", CHANGES)
def test_each_input_matters_and_to_its_own_container_only(tmp_path: Path, change: str) -> None:
    before = tags(write(tmp_path, TREE))
    CHANGES[change](tmp_path)
    after = tags(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"one"}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=trees, chosen=st.integers(0, 7), kind=st.sampled_from(["content", "mode", "link", "gone", "moved", "new"]))
def test_any_one_change_of_any_file_changes_the_tag_and_undone_it_is_the_same(
    tmp_path: Path, files: dict[str, str], chosen: int, kind: str
) -> None:
    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    plain = {path: text for path, text in files.items() if not any(other.startswith(path + "/") for other in files)}
    folder = write(tmp_path / "c", {**plain, "zz/first": "", "Dockerfile": "FROM scratch\n"})
    before = tag_of(container(folder))
    path = folder / sorted([*plain, "zz/first"])[chosen % (len(plain) + 1)]
    mode, content = path.stat().st_mode, path.read_bytes()
    match kind:
        case "content":
            path.write_bytes(content + b"x")
        case "mode":
            path.chmod(0o755)
        case "link":
            path.unlink()
            path.symlink_to("Dockerfile")
        case "gone":
            path.unlink()
        case "moved":
            path.rename(path.with_name("moved~"))
        case "new":
            path.with_name("new~").touch()
    assert tag_of(container(folder)) != before
    for added in ("moved~", "new~"):
        path.with_name(added).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    assert tag_of(container(folder)) == before


def test_a_change_of_a_base_changes_all_that_are_based_on_it(tmp_path: Path) -> None:
    before = tags(write(tmp_path, TREE))
    (tmp_path / "base/src/lib.py").write_text("other")
    after = tags(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"base", "one"}


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "ARM64"},
        {"other_architectures": ("ARM64",)},
        {"target": "run"},
        {"arguments": {"A": "1"}},
        {"base": "base"},
    ],
    ids=str,
)
def test_what_is_declared_matters(tmp_path: Path, change: dict[str, object]) -> None:
    plain = container(write(tmp_path / "c", {"Dockerfile": "FROM scratch\n"}))
    changed = replace(plain, **change)  # type: ignore[arg-type]  # any of its fields
    assert tag_of(changed, "0" if changed.base else None) != tag_of(plain)


def test_what_only_the_task_needs_does_not_matter(tmp_path: Path) -> None:
    plain = container(write(tmp_path / "c", {"Dockerfile": "FROM scratch\n"}))
    changed = replace(plain, cpu=1024, memory=2048, environment={"A": "1"}, secrets={"B": "2"}, policy=({},))
    assert tag_of(changed) == tag_of(plain)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=3),
            st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
            st.dictionaries(
                st.text(max_size=2), st.builds(FileInput, st.just("file"), st.text(max_size=2)), max_size=2
            ),
            st.none() | st.tuples(st.text(max_size=2), st.text(max_size=2)),
        ),
        min_size=2,
        max_size=2,
        unique_by=repr,
    )
)
def test_different_inputs_never_encode_alike(
    pair: list[tuple[str, dict[str, str], dict[str, FileInput], object]],
) -> None:
    first, second = (
        Inputs(("linux/amd64",), target, arguments, base, files)  # type: ignore[arg-type]  # a tuple or None
        for target, arguments, files, base in pair
    )
    assert (first == second) == (encoded(first) == encoded(second))


# --- what cannot be tagged


def test_an_empty_context_is_refused_when_the_dockerfile_copies_from_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", {"Dockerfile": PLAIN, ".dockerignore": "*", "src/main.py": ""})
    with pytest.raises(UsageError, match="the build context is empty") as error:
        tag_of(container(folder))
    assert error.value.where == str(folder)


def test_a_dockerfile_that_copies_nothing_needs_no_files(tmp_path: Path) -> None:
    assert tag_of(container(write(tmp_path / "c", {"Dockerfile": "FROM scratch\n"})))


def test_the_dockerfiles_own_ignore_file_comes_first(tmp_path: Path) -> None:
    files = {"Dockerfile": PLAIN, "x": "", "y": "", ".dockerignore": "x", "Dockerfile.dockerignore": "y\n.dockerignore"}
    sent = read_inputs(container(write(tmp_path / "c", files)), None).files
    assert sorted(sent) == ["Dockerfile", "Dockerfile.dockerignore", "x"]


def test_the_dockerfile_counts_even_when_it_is_ignored(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", {"Dockerfile": PLAIN, "x": "", ".dockerignore": "Dockerfile\n.dockerignore"})
    assert sorted(read_inputs(container(folder), None).files) == [".dockerignore", "Dockerfile", "x"]


def test_a_pipe_in_the_context_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", {"Dockerfile": PLAIN})
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError, match="a socket, pipe or device") as error:
        tag_of(container(folder))
    assert error.value.where == str(folder / "pipe")


@pytest.mark.parametrize("shut", ["x", ".dockerignore", "folder"])
def test_a_file_that_cannot_be_read_is_an_error_with_its_name(
    readable_by_all: Path, as_nobody: AsNobody, shut: str
) -> None:
    folder = write(readable_by_all, {"Dockerfile": PLAIN, "x": "", ".dockerignore": "# none", "folder/y": ""})
    with as_nobody(folder / shut), pytest.raises(PipelineError, match="cannot be read") as error:
        tag_of(container(folder))
    assert error.value.where == str(folder / shut)


# --- the context that is built is the one that was tagged


def test_the_build_context_is_exactly_what_the_tag_counts(tmp_path: Path) -> None:
    folder = write(tmp_path / "tree", TREE) / "one"
    _replace(folder / "link", "-> ./src//main.py")
    (folder / "src/run.sh").chmod(0o700)
    (folder / "src/main.py").chmod(0o666)
    write(folder, {"ignored/x": "", "empty/": ""})
    one = container(folder, base="base")
    inputs = read_inputs(one, "t")
    with build_context(one, inputs) as context:
        assert read_inputs(replace(one, folder=context), "t") == inputs
        assert not (context / "empty").exists()
        assert link_target(context / "link") == "./src//main.py"
        modes = {path: (context / path).stat().st_mode & 0o777 for path in ("src", "src/run.sh", "src/main.py")}
        assert modes == {"src": 0o755, "src/run.sh": 0o755, "src/main.py": 0o644}
        assert len({path.lstat().st_mtime for path in context.rglob("*")}) == 1
    assert not context.exists()


def test_a_file_that_changes_before_it_is_built_is_noticed(tmp_path: Path) -> None:
    one = container(write(tmp_path / "c", {"Dockerfile": PLAIN, "x": "1"}))
    inputs = read_inputs(one, None)
    (one.folder / "x").write_text("2")
    with pytest.raises(PipelineError, match="changed while") as error, build_context(one, inputs):
        pass
    assert error.value.where == "x"
    (one.folder / "x").write_text("1")
    (one.folder / "y").write_text("1")
    with pytest.raises(PipelineError, match="changed while"), build_context(one, inputs):
        pass
