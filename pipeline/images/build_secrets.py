"""Secrets that builds may mount, as files that are there only while images are built.

They are no part of the content tag: a secret that is rotated does not change the image. BuildKit hands each to the
`RUN` that mounts it, and to no layer, no cache and no history.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError, UsageError
from pipeline.settings import SETTINGS_FILE, BuildSecret


@contextmanager
def secret_files(
    wanted: Mapping[str, BuildSecret],
    given: Mapping[str, Path],
    needed: frozenset[str],
    session: Callable[[], boto3.Session],
) -> Iterator[dict[str, Path]]:
    """Id → file of each secret that is needed and known; what was fetched is removed when the block ends.

    Args:
        wanted: The settings' `images.build_secrets`.
        given: Files named on the command line; they come first.
        needed: Ids that some Dockerfile mounts. Others are not fetched; unknown ones are for BuildKit to judge, since a
            mount need not be `required`.
        session: To read Secrets Manager with; made when a secret is there.

    Raises:
        UsageError: A file does not exist.
        PipelineError: Secrets Manager does not give a secret.
    """
    with TemporaryDirectory(prefix="build-secrets-") as folder:
        files = {}
        for name in sorted(needed & (wanted.keys() | given.keys())):
            source = wanted.get(name)
            path = given.get(name) or Path(source.file if source else "")
            if name not in given and source is not None and source.secret:
                path = Path(folder) / name
                _write(path, _fetched(session(), source.secret, name))
            if not path.is_file():
                raise UsageError(
                    f"the file {path} of the build secret {name!r} does not exist",
                    where=f"{SETTINGS_FILE}: images.build_secrets",
                )
            files[name] = path.resolve()
        yield files


def _fetched(session: boto3.Session, secret: str, name: str) -> bytes:
    try:
        answer = session.client("secretsmanager").get_secret_value(SecretId=secret)
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"the build secret {name!r} cannot be read from Secrets Manager: {error}",
            where=secret,
            mend=f"For this run a file will do: --build-secret {name}=FILE",
        ) from None
    # One of them is there (API reference, GetSecretValue); the stubs say that both are.
    return answer.get("SecretBinary") or answer.get("SecretString", "").encode()


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
