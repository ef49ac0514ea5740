"""The commit that images are made from, where git knows it; for their labels."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.git import Git
from pipeline.images.inputs import Inputs

DIRTY = "-dirty"  # as `git describe --dirty` has it


def revisions(folder: Path, inputs: Mapping[str, Inputs]) -> dict[str, str]:
    """Container → commit, "" where git does not say; an empty label is better than no image.

    Args:
        folder: The folder of the containers.
        inputs: Container → what its image is made of, bases first.
    """
    git = Git(folder)
    try:
        head = git.commit_of("HEAD") or ""
        differing = git.changed_files(ignored=True) if head else []
    except PipelineError:  # no git, or no repository
        return dict.fromkeys(inputs, "")
    gone = [path for path in differing if not (folder / path).is_symlink() and not (folder / path).exists()]
    return decided(head, inputs, differing, gone)


def decided(
    head: str, inputs: Mapping[str, Inputs], differing: list[str], gone: list[str] | tuple[str, ...] = ()
) -> dict[str, str]:
    """Container → revision.

    | files of the container that are not as HEAD has them | revision |
    | --- | --- |
    | none, and none of its base's | HEAD |
    | some; a file that is gone; or its base is not HEAD's | HEAD-dirty |
    | all: never committed, or unpacked in another repository's folder | "" |

    Args:
        head: The commit.
        inputs: Container → what its image is made of, bases first.
        differing: Paths, from the containers' folder, that differ from HEAD; one that ends with `/` is all below it.
        gone: Those of them that are not there any more.
    """
    files = {path for path in differing if not path.endswith("/")}
    folders = tuple(path for path in differing if path.endswith("/"))
    found: dict[str, str] = {}
    for name, each in inputs.items():
        paths = [_as_git_tells(f"{name}/{path}") for path in each.files]
        differs = [path in files or path.startswith(folders) for path in paths]
        dirty = any(differs) or any(path.startswith(f"{name}/") for path in gone)
        base_differs = each.base is not None and found[each.base[0]] != head
        if head and not all(differs):
            found[name] = head + DIRTY * (dirty or base_differs)
        else:
            found[name] = ""
    return found


def _as_git_tells(path: str) -> str:
    """Bytes of a name that are no UTF-8 are replaced in whatever a command prints."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
