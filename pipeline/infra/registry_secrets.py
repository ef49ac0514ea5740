"""The right to read the secrets that image builds mount."""

from pipeline.infra.access import Right
from pipeline.settings import Settings


def reading(settings: Settings, account: str, region: str) -> tuple[Right, ...]:
    """The right to read exactly the secrets that cdk.json names for builds; none when there are none.

    Secrets Manager appends six characters to a secret's name (Secrets Manager user guide, "Secret ARN").

    Args:
        settings: The project's.
        account: The pipeline's.
        region: The pipeline's.
    """
    sources = sorted({each.secret for each in settings.images.build_secrets.values() if each.secret})
    arns = [
        each if each.startswith("arn:") else f"arn:aws:secretsmanager:{region}:{account}:secret:{each}-??????"
        for each in sources
    ]
    return (Right(("secretsmanager:GetSecretValue",), tuple(arns)),) if arns else ()
