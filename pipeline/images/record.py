"""The inputs an image was built from, recorded as a label of the image, and what differs from today's in words.

A label, because it needs no store of its own, cannot part from its image, and costs requests only for an image that
must be rebuilt anyway. Digests are recorded by their first digits: they tell what changed, they decide nothing.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.images.content import VERSION
from pipeline.images.inputs import FileInput, Inputs, Kind, shown

LABEL = "pipeline.inputs"
DIGITS = 12
# A label travels as one argument of a command, and Linux allows 128 KiB for one (MAX_ARG_STRLEN).
LONGEST = 96 * 1024

_UNNAMED = 1  # the version of labels that do not name theirs

_KINDS: Mapping[str, Kind] = {"f": "file", "x": "executable", "l": "link"}
_LETTERS: Mapping[Kind, str] = {kind: letter for letter, kind in _KINDS.items()}


@dataclass(frozen=True)
class Record:
    """What is recorded with an image: its inputs, with digests cut short, and the version of the tags' encoding."""

    inputs: Inputs
    version: int = VERSION


def label(inputs: Inputs) -> str | None:
    """The label's value, or None when there are too many files for a label: then reasons will be less exact."""
    document = {
        "version": VERSION,
        "platforms": inputs.platforms,
        "target": inputs.target,
        "arguments": dict(inputs.arguments),
        "base": inputs.base,
        "files": {path: _LETTERS[each.kind] + each.sha256[:DIGITS] for path, each in inputs.files.items()},
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    value = base64.b64encode(zlib.compress(text.encode("utf-8", "surrogateescape"), 9)).decode("ascii")
    return value if len(value) <= LONGEST else None


def read_label(value: str) -> Record | None:
    """What `label` wrote; None when it was written by something else."""
    try:
        text = zlib.decompress(base64.b64decode(value, validate=True)).decode("utf-8", "surrogateescape")
        document: dict[str, Any] = json.loads(text)
        base = document["base"]
        inputs = Inputs(
            platforms=tuple(document["platforms"]),
            target=document["target"],
            arguments=dict(document["arguments"]),
            base=(base[0], base[1]) if base else None,
            files={path: FileInput(_KINDS[each[0]], each[1:]) for path, each in document["files"].items()},
        )
        return Record(inputs, int(document.get("version", _UNNAMED)))
    except (ValueError, binascii.Error, zlib.error, KeyError, TypeError, IndexError, AttributeError):
        return None


def differences(before: Inputs, now: Inputs) -> tuple[str, ...]:
    """What changed between the recorded inputs and today's, in words; () when nothing did.

    The base is left out: whether it is rebuilt or has been is the plan's to say.
    """
    return (*_settings(before, now), *_files(_shortened(before).files, _shortened(now).files))


def _settings(before: Inputs, now: Inputs) -> list[str]:
    said = [f"platform {each} added" for each in now.platforms if each not in before.platforms]
    said += [f"platform {each} removed" for each in before.platforms if each not in now.platforms]
    if before.target != now.target:
        said.append(f"target is now {now.target or 'the last stage'}, was {before.target or 'the last stage'}")
    for name in sorted(before.arguments.keys() | now.arguments.keys()):
        # Values stay out of logs: teams put more into arguments than they should.
        if name not in before.arguments:
            said.append(f"build argument {name} added")
        elif name not in now.arguments:
            said.append(f"build argument {name} removed")
        elif before.arguments[name] != now.arguments[name]:
            said.append(f"build argument {name} changed")
    return said


def _files(before: Mapping[str, FileInput], now: Mapping[str, FileInput]) -> list[str]:
    said = []
    for path in sorted(before.keys() | now.keys()):
        old, new, name = before.get(path), now.get(path), shown(path)
        if old is None:
            said.append(f"{name} is new")
        elif new is None:
            said.append(f"{name} was removed")
        elif old.sha256 != new.sha256:
            said.append(f"{name} changed")
        elif old.kind != new.kind:
            said.append(f"{name} is now {_article(new.kind)}, was {_article(old.kind)}")
    return said


def _article(kind: Kind) -> str:
    return {"file": "not executable", "executable": "executable", "link": "a link"}[kind]


def _shortened(inputs: Inputs) -> Inputs:
    files = {path: replace(each, sha256=each.sha256[:DIGITS]) for path, each in inputs.files.items()}
    return replace(inputs, files=files)
