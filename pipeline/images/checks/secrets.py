"""Secrets in the files that a build is sent: by what they contain (detect-secrets, Yelp), and by what they are called.

Left out of detect-secrets' plug-ins, because a policy that denies must be right: the two that measure entropy, which
every hash of requirements.txt would set off; the one for public addresses; and the one for keywords, which takes the
name of a secret (`DB_PASSWORD = "etl/db"` in container.toml) for the secret. A line that is meant to be there ends with
the comment `pragma: allowlist secret`, as detect-secrets has it.

detect-secrets passes over whatever is not UTF-8, where one letter with an accent is enough; so it is given such text as
UTF-8, in a folder that only we may read.

| the file | read as |
| --- | --- |
| UTF-8, with or without a byte-order mark | it is |
| begins with the mark of UTF-16, as PowerShell's `>` writes | UTF-16 |
| anything else without a NUL byte | Latin-1, in which every byte is a letter |
| anything else | not at all: a program or an image; libraries of cryptography spell out how keys begin |
"""

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

from pipeline.images.checks.github_token import GitHubFineGrainedTokenDetector

LARGEST = 2_000_000  # bytes; beyond that it is data

_FILTERS: Final = "detect_secrets.filters"
# AWS documentation ends its keys so, "AWS security credentials"; IAM draws no such key.
_OF_DOCUMENTATION: Final = r"^[A-Za-z0-9/]{13,}EXAMPLE(KEY)?$"
_SETTINGS: Final = {
    "plugins_used": [
        {"name": name}
        for name in (
            "ArtifactoryDetector",
            "AWSKeyDetector",
            "AzureStorageKeyDetector",
            "BasicAuthDetector",
            "CloudantDetector",
            "DiscordBotTokenDetector",
            "GitHubTokenDetector",
            "GitLabTokenDetector",
            "IbmCloudIamDetector",
            "IbmCosHmacDetector",
            "JwtTokenDetector",
            "MailchimpDetector",
            "NpmDetector",
            "OpenAIDetector",
            "PrivateKeyDetector",
            "PypiTokenDetector",
            "SendGridDetector",
            "SlackDetector",
            "SoftlayerDetector",
            "SquareOAuthDetector",
            "StripeDetector",
            "TelegramBotTokenDetector",
            "TwilioKeyDetector",
        )
    ]
    + [
        {
            "name": GitHubFineGrainedTokenDetector.__name__,
            "path": f"file://{Path(__file__).with_name('github_token.py')}",
        }
    ],
    "filters_used": [
        {"path": f"{_FILTERS}.allowlist.is_line_allowlisted"},
        {"path": f"{_FILTERS}.heuristic.is_indirect_reference"},
        {"path": f"{_FILTERS}.heuristic.is_prefixed_with_dollar_sign"},
        {"path": f"{_FILTERS}.heuristic.is_sequential_string"},
        {"path": f"{_FILTERS}.heuristic.is_templated_secret"},
        {"path": f"{_FILTERS}.regex.should_exclude_secret", "pattern": [r"^%s$", _OF_DOCUMENTATION]},
    ],
}
# Files that hold secrets whatever is in them. `.env.example` and the like are meant to be read.
_NAMES: Final = re.compile(
    r"""(^|/)(
          \.env(\.(local|prod|production|dev|development|staging))?
        | \.netrc | \.pypirc | \.pgpass | \.git-credentials
        | \.aws/credentials | \.docker/config\.json | \.kube/config
        | id_(rsa|dsa|ecdsa|ed25519)
        | [^/]+\.(p12|pfx|jks|keystore|kdbx|tfstate)
    )$""",
    re.VERBOSE,
)
# detect-secrets parses these, for detectors that are not used here; its parser fails or never ends on some of them.
_PARSED: Final = (".yaml", ".yml", ".eyaml")
_BLANKS: Final = re.compile(rb"[ \t]{20,}")
# detect-secrets keeps its settings in globals.
_lock = Lock()


@dataclass(frozen=True)
class Suspicion:
    """Where a secret may be; never the secret itself. `line` is 0 when the whole file is meant."""

    path: str
    line: int
    kind: str


def suspicions(files: Mapping[str, str]) -> tuple[Suspicion, ...]:
    """What looks like a secret in the files of a build context.

    Args:
        files: Path in the context → file on disk; links are not followed.
    """
    found = {Suspicion(path, 0, "a file of this name holds secrets") for path in files if _NAMES.search(path)}
    with _lock, transient_settings(_SETTINGS):
        for path, file in files.items():
            found |= {Suspicion(path, secret.line_number, secret.type) for secret in _scan(file)}
    return tuple(sorted(found, key=lambda each: (each.path, each.line, each.kind)))


def _scan(file: str) -> Iterable[PotentialSecret]:
    path = Path(file)
    if path.is_symlink() or path.stat().st_size > LARGEST:
        return ()
    content = path.read_bytes()
    text, is_utf8 = _text_of(content)
    if not text:
        return ()
    if is_utf8 and path.suffix not in _PARSED and not _BLANKS.search(content):
        return tuple(scan_file(file))
    return _scan_copy("text" if path.suffix in _PARSED else path.name, _squeezed(text))


def _squeezed(text: str) -> str:
    """The text without long runs of blanks, its lines as they were: a hundred of them cost the detectors seconds."""
    return _BLANKS.sub(b" ", text.encode("utf-8", "replace")).decode("utf-8")


def _scan_copy(name: str, text: str) -> Iterable[PotentialSecret]:
    """The name stays where it can: how values are written is known by its suffix."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, name)
        copy.write_text(text, encoding="utf-8", newline="")
        return tuple(scan_file(str(copy)))


def _text_of(content: bytes) -> tuple[str, bool]:
    """The text of a file, "" of one that is none, and whether it is UTF-8."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace"), False
    try:
        return content.decode("utf-8"), True
    except UnicodeDecodeError:
        return "" if b"\0" in content else content.decode("latin-1"), False
