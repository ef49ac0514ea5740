"""Content tags: the digest of everything that decides an image, known before it is built, its tag in ECR.

The encoding, version 1. Every field is written as a netstring, `LENGTH:BYTES,` with the length in decimal, so that no
two different inputs run together into the same bytes; lists and mappings are preceded by how many members follow:

    "pipeline-content-tag", VERSION
    count, each platform ("linux/amd64"), sorted
    target stage, "" for the last
    count, each build argument: name, value; sorted by name
    count (0 or 1), the base: container, content tag
    count, each file: path (its bytes, as the file system has them), kind ("file", "executable", "link"),
           SHA-256 of the content or of the link's target (hexadecimal); sorted by path as bytes

The tag is the first 32 hexadecimal digits of the SHA-256 of that. 128 bits keep accidents out (a chance of 1 in 10^18
after 10^10 images), a tag stays readable in a table, and nobody takes it for a git commit (40) or an image digest (64).

Not in it, on purpose: the account and region (one commit has one tag everywhere), the commit and the time (an
unchanged container keeps its image), labels, and what the base outside this repository is today: pin that by digest.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence

from pipeline.images.containers import Container
from pipeline.images.inputs import Inputs, read_inputs

VERSION = 1
TAG_LENGTH = 32


def content_tags(containers: Sequence[Container]) -> dict[str, str]:
    """Container name → content tag.

    Args:
        containers: As `discover` gives them: each after its base.

    Raises:
        UsageError: A build context is empty or holds what no build can carry.
        PipelineError: A file cannot be read.
    """
    return {name: content_tag(inputs) for name, inputs in all_inputs(containers).items()}


def all_inputs(containers: Sequence[Container]) -> dict[str, Inputs]:
    """Container name → everything that decides its image; same order and errors as `content_tags`."""
    inputs: dict[str, Inputs] = {}
    for container in containers:
        base_tag = content_tag(inputs[container.base]) if container.base is not None else None
        inputs[container.name] = read_inputs(container, base_tag)
    return inputs


def content_tag(inputs: Inputs) -> str:
    """The tag of an image with these inputs."""
    return hashlib.sha256(encoded(inputs)).hexdigest()[:TAG_LENGTH]


def encoded(inputs: Inputs) -> bytes:
    """The canonical encoding described above."""
    arguments = sorted(inputs.arguments.items())
    files = sorted((os.fsencode(path), each) for path, each in inputs.files.items())
    fields: list[str | bytes] = ["pipeline-content-tag", str(VERSION)]
    fields += [str(len(inputs.platforms)), *sorted(inputs.platforms)]
    fields += [inputs.target]
    fields += [str(len(arguments)), *(part for argument in arguments for part in argument)]
    fields += ["1", *inputs.base] if inputs.base else ["0"]
    fields += [str(len(files))]
    for path, each in files:
        fields += [path, each.kind, each.sha256]
    return _netstrings(fields)


def _netstrings(fields: Iterable[str | bytes]) -> bytes:
    out = bytearray()
    for each in fields:
        raw = each if isinstance(each, bytes) else each.encode("utf-8", "surrogateescape")
        out += b"%d:%b," % (len(raw), raw)
    return bytes(out)
