"""The build steps of the pipeline: what each may do, and how long it may take."""

from collections.abc import Sequence

from aws_cdk import Duration

from pipeline import names
from pipeline.infra.access import Right
from pipeline.infra.build_steps import Step
from pipeline.infra.place import Place
from pipeline.settings import Settings

# Well above what a healthy build takes, and low enough that one that hangs is noticed the same hour.
QUICK = Duration.minutes(15)
TESTS = Duration.minutes(30)
IMAGES = Duration.hours(1)
# Publishing, UpdateEnvironment (20 to 30 minutes), and the verification in Airflow.
RELEASE = Duration.hours(2)
# GRACEFUL lets running tasks end, for up to 12 hours, before workers are replaced (MWAA user guide).
GRACEFUL_RELEASE = Duration.hours(14)

_LOGIN = Right(
    ("ecr:GetAuthorizationToken",), ("*",), why_so_wide="The log-in to ECR belongs to no repository; pushes do."
)
# With enhanced scanning ECR asks Amazon Inspector for a scan, with the rights of whoever asks ECR.
_INSPECTOR = Right(
    ("inspector2:ListCoverage", "inspector2:ListFindings"),
    ("*",),
    why_so_wide="Inspector lists findings and coverage of a whole account, not of a repository.",
)


def synth() -> Step:
    """Templates from the source: needs nothing of AWS."""
    return Step("synth", "synth", QUICK)


def tests(secrets: Sequence[Right]) -> tuple[Step, ...]:
    """The tests of a commit: none needs anything of AWS, but for the secrets that images are built with."""
    return (
        Step("test-dags", "test-dags", TESTS),
        Step("test-containers", "test-containers", TESTS, rights=secrets, docker=True),
        Step("test-stacks", "test-stacks", QUICK),
    )


def clear(deployers: Sequence[str]) -> Step:
    """Delete stacks that were never created, which nothing could update.

    Args:
        deployers: ARNs of the roles in which CDK deploys, of which the step takes a small part.
    """
    return Step("clear", "clear", QUICK, rights=[Right(("sts:AssumeRole",), tuple(deployers))])


def build_images(repositories: Sequence[str], secrets: Sequence[Right]) -> Step:
    """Build what ECR lacks and push it.

    Args:
        repositories: ARNs of the containers' repositories.
        secrets: The rights to read the secrets that images are built with.
    """
    rights = [_LOGIN, *secrets]
    if repositories:
        rights.append(
            Right(
                (
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:CompleteLayerUpload",
                    "ecr:DescribeImageScanFindings",
                    "ecr:DescribeImages",
                    "ecr:DescribeRepositories",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:InitiateLayerUpload",
                    "ecr:PutImage",
                    "ecr:UploadLayerPart",
                ),
                tuple(repositories),
            )
        )
        rights.append(_INSPECTOR)
    return Step("build-images", "build-images", IMAGES, rights=rights, docker=True)


def sync(settings: Settings, environment: str, place: Place) -> Step:
    """Bring the release to an environment: all rights there are those of its release role.

    Args:
        settings: The project's.
        environment: The environment's name.
        place: Where the environment is.
    """
    graceful = settings.environment(environment).worker_replacement == "GRACEFUL"
    return Step(
        f"sync-{environment}",
        "sync",
        GRACEFUL_RELEASE if graceful else RELEASE,
        rights=[Right(("sts:AssumeRole",), (names.release_role(settings, environment, place.account),))],
        variables={"ENVIRONMENT": environment},
    )


def dossier(
    settings: Settings, environment: str, place: Place, *, repository: str, kept: str, writing: Sequence[Right]
) -> Step:
    """Tell a release manager what the release would change; it can change nothing itself.

    Args:
        settings: The project's.
        environment: The environment's name.
        place: Where the environment is.
        repository: ARN of the source's repository, which knows the commits: what a build gets has no history.
        kept: Where dossiers are kept, as `s3://BUCKET/PREFIX`.
        writing: The rights to write there.
    """
    return Step(
        f"dossier-{environment}",
        "dossier",
        QUICK,
        rights=[
            Right(("sts:AssumeRole",), (names.reader_role(settings, environment, place.account),)),
            Right(("codecommit:GetCommit",), (repository,)),
            *writing,
        ],
        variables={"ENVIRONMENT": environment, "DOSSIERS": kept},
    )
