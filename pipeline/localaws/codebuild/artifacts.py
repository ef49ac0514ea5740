"""What a build leaves behind: the files its buildspec names, as an object (ZIP) or as objects in S3."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from string import Template
from typing import Any

from pipeline.localaws.codebuild.archive import Entry, pack
from pipeline.localaws.codebuild.buildspec import Artifact, FileSet
from pipeline.localaws.codebuild.patterns import files_below, select
from pipeline.localaws.region import LocalRegion

_IN_MEMORY = 32 << 20  # bytes of an archive held in memory before it goes to a file


class NoMatchError(Exception):
    """The patterns of an artifact or a report match nothing."""


@dataclass(frozen=True)
class Uploaded:
    """An artifact in S3, as `Build.artifacts` shows it."""

    location: str
    sha256sum: str = ""


def entries(
    files: FileSet, root: Path, variables: Mapping[str, str], *, exclude: tuple[str, ...] = (), links: bool = False
) -> list[Entry]:
    """The files of a set, with their names inside the artifact.

    Args:
        files: What the buildspec says.
        root: The folder that relative paths start from.
        variables: `$NAME` and `${NAME}` in paths are these.
        exclude: Patterns of files to leave out.
        links: Whether symbolic links stay links.

    Raises:
        NoMatchError: The folder or the files do not exist; the text is CodeBuild's.
    """
    found: dict[str, Entry] = {}
    patterns = [_filled(pattern, variables) for pattern in files.files]
    for base in _bases(root, _filled(files.base_directory, variables)):
        for path in select(files_below(base, follow_links=not links), patterns, exclude):
            name = path.rpartition("/")[2] if files.discard_paths else path
            found.setdefault(name, Entry(base / path, name, links))
    if not found:
        raise NoMatchError(f"no matching artifact paths found: {', '.join(files.files)} in {files.base_directory}")
    return [found[name] for name in sorted(found)]


def upload(
    region: LocalRegion,
    artifact: Artifact,
    to: Mapping[str, Any],
    *,
    source: Path,
    variables: Mapping[str, str],
    name: str,
) -> Uploaded:
    """Put an artifact into S3.

    Args:
        region: Where S3 answers.
        artifact: What the buildspec says.
        to: Where the project or StartBuild says: a `ProjectArtifacts`.
        source: The build's primary source folder.
        variables: The build's variables.
        name: The artifact's name, when `to` has none of its own.

    Raises:
        NoMatchError: There is nothing to upload.
    """
    files = entries(artifact, source, variables, exclude=artifact.exclude_paths, links=artifact.enable_symlinks)
    s3 = region.client("s3")
    bucket, key = to["location"].removeprefix("arn:aws:s3:::"), object_key(to, name, variables["CODEBUILD_BUILD_ID"])
    if to.get("packaging", "NONE") == "ZIP":
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as archive:
            pack(files, archive)
            archive.seek(0)
            digest = hashlib.file_digest(archive, "sha256").hexdigest()
            archive.seek(0)
            s3.put_object(Bucket=bucket, Key=key, Body=archive, ContentType="application/zip")
        return Uploaded(f"arn:aws:s3:::{bucket}/{key}", digest)
    for file in files:
        s3.put_object(Bucket=bucket, Key=f"{key}/{file.name}", Body=file.source.read_bytes())
    return Uploaded(f"arn:aws:s3:::{bucket}/{key}")


def object_key(to: Mapping[str, Any], name: str, build: str) -> str:
    """The key of an artifact: path, build id if asked for, name (API reference, ProjectArtifacts)."""
    own = "" if to.get("name", "") == "/" else to.get("name") or name
    namespace = build.rpartition(":")[2] if to.get("namespaceType") == "BUILD_ID" else ""
    return "/".join(part for part in (to.get("path", "").strip("/"), namespace, own) if part)


def _bases(root: Path, directory: str) -> list[Path]:
    """The folders a base directory means; it may be a pattern."""
    base = root / directory
    if base.is_dir():
        return [base]
    found = [Path(path) for path in sorted(glob(str(base), recursive=True)) if Path(path).is_dir()]  # noqa: PTH207 - takes absolute patterns
    if not found:
        raise NoMatchError(f"no matching base directory path found for {directory}")
    return found


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return Template(text).safe_substitute(variables)
