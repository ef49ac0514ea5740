"""One ECR repository for each container.

They belong to the pipeline stack, so that self-mutation creates a new container's repository before its first build.

What may be removed: ECR's lifecycle rules choose by tag, age and count. They cannot know which images the recorded
releases of the environments reference, and a rollback needs every one of them; the oldest image may be what production
runs. So no rule touches an image with a tag. All that the pipeline pushes has one, each part of an image for several
platforms too, and a tag that is immutable cannot move away from its image. What is left without a tag was untagged by
hand: that goes. `pipeline images prune` can know what releases reference, and deletes the rest when a person wants it.
"""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from pipeline import names
from pipeline.images.containers import Container
from pipeline.settings import Settings

# For whoever untagged an image by mistake.
UNTAGGED_KEPT = Duration.days(30)

# What ECS needs to start a task from an image in another account.
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def repositories(
    scope: Construct, settings: Settings, containers: Sequence[Container], *, pulling_accounts: Sequence[str]
) -> tuple[ecr.Repository, ...]:
    """The repositories of all containers.

    A repository whose container is removed from the project stays in the account with its images: task definitions of
    earlier releases still name them.

    Args:
        scope: The pipeline stack.
        settings: The project's.
        containers: The project's.
        pulling_accounts: Other accounts that run tasks from these images.
    """
    return tuple(_repository(scope, settings, container, pulling_accounts) for container in containers)


def _repository(
    scope: Construct, settings: Settings, container: Container, pulling_accounts: Sequence[str]
) -> ecr.Repository:
    repository = ecr.Repository(
        scope,
        f"Images-{container.name}",
        repository_name=names.image_repository(settings, container.name),
        image_scan_on_push=True,
        # A tag is a content tag: if it could be moved, the same commit could run something else.
        image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        encryption=ecr.RepositoryEncryption.AES_256,
        lifecycle_rules=[
            ecr.LifecycleRule(
                description="Images with a tag are kept: releases reference them",
                tag_status=ecr.TagStatus.UNTAGGED,
                max_image_age=UNTAGGED_KEPT,
            )
        ],
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,  # one that was never created is in the way
    )
    if pulling_accounts:
        repository.add_to_resource_policy(
            iam.PolicyStatement(
                sid="PullFromEnvironments",
                actions=list(PULL),
                principals=[iam.AccountPrincipal(account) for account in pulling_accounts],
            )
        )
    return repository
