"""The rights to read the secrets that image builds mount."""

import re

from pipeline import names
from pipeline.errors import UsageError
from pipeline.infra.access import Right
from pipeline.settings import SETTINGS_FILE, Settings

_ARN = re.compile(r"arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+\Z")
_WHOLE = re.compile(r"-[A-Za-z0-9]{6}$")


def reading(settings: Settings, account: str, region: str) -> tuple[Right, ...]:
    """The rights to read exactly the secrets that cdk.json names for builds; none when there are none.

    | cdk.json says | IAM resource |
    | --- | --- |
    | `etl/pip`: the name of a secret in the pipeline's place | `…:secret:etl/pip-??????` |
    | `arn:…:secret:etl/pip-a1B2c3` | the same |
    | `arn:…:secret:etl/pip`, which Secrets Manager's API takes, too | `…:secret:etl/pip-??????` |

    Secrets Manager appends six characters to a secret's name (Secrets Manager user guide, "Secret ARN"). A key of the
    customer's own decrypts for whoever reads the secret (there, "Secret encryption and decryption"); the key's policy
    must allow it as well. A key in another account than the secret is not foreseen.

    Args:
        settings: The project's.
        account: The pipeline's.
        region: The pipeline's.

    Raises:
        UsageError: An ARN of something else.
    """
    sources = sorted({each.secret for each in settings.images.build_secrets.values() if each.secret})
    for each in sources:
        if each.startswith("arn:") and not _ARN.match(each):
            raise UsageError(
                f"{each!r} is no ARN of a secret of Secrets Manager", where=f"{SETTINGS_FILE}: images.build_secrets"
            )
    written = [names.secret_arn(each, account, region) for each in sources]
    arns = [
        arn if arn == source and _WHOLE.search(arn) else f"{arn}-??????"
        for source, arn in zip(sources, written, strict=True)
    ]
    if not arns:
        return ()
    return (Right(("secretsmanager:GetSecretValue",), tuple(arns)), *_decrypting(arns))


def _decrypting(arns: list[str]) -> list[Right]:
    """The right to decrypt these secrets with whatever key, by way of Secrets Manager; one for each place."""
    places: dict[tuple[str, str], list[str]] = {}
    for arn in arns:
        region, account = arn.split(":")[3:5]
        places.setdefault((region, account), []).append(arn)
    return [
        Right(
            ("kms:Decrypt",),
            (f"arn:aws:kms:{region}:{account}:key/*",),
            conditions={
                "StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"},
                "StringLike": {"kms:EncryptionContext:SecretARN": some},
            },
            why_so_wide="The secret says which key it is encrypted with; for other secrets the key may not be used.",
        )
        for (region, account), some in sorted(places.items())
    ]
