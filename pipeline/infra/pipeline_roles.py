"""The roles of the pipeline itself: the one that carries a commit, and the one that updates the pipeline."""

from collections.abc import Sequence

from aws_cdk import Stack, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from pipeline.infra import access, build_steps
from pipeline.infra.access import Right
from pipeline.infra.artifacts import Artifacts
from pipeline.infra.build_steps import BuildSteps
from pipeline.infra.nag import excuse
from pipeline.infra.place import Place

UPDATE = "update-pipeline"


def pipeline_role(
    stack: Stack, pipeline: str, repository: codecommit.IRepository, deployers: Sequence[str], artifacts: Artifacts
) -> iam.Role:
    """The role of the pipeline: it takes the source, hands artifacts on, and lets environments be deployed.

    Args:
        stack: The pipeline stack.
        pipeline: Name of the pipeline.
        repository: Its source.
        deployers: ARNs of the bootstrap roles that deploy the environments' stacks.
        artifacts: What its stages hand on.
    """
    arn = f"arn:aws:codepipeline:{stack.region}:{stack.account}:{pipeline}"
    return access.role(
        stack,
        "PipelineRole",
        [
            Right(
                (
                    "codecommit:CancelUploadArchive",
                    "codecommit:GetBranch",
                    "codecommit:GetCommit",
                    "codecommit:GetRepository",
                    "codecommit:GetUploadArchiveStatus",
                    "codecommit:UploadArchive",
                ),
                (repository.repository_arn,),
            ),
            *artifacts.reading(),
            *artifacts.writing(),
            Right(("sts:AssumeRole",), tuple(deployers)),
        ],
        trusted=access.service("codepipeline", SourceArn=arn),
        description=f"The pipeline {pipeline}",
    )


def let_build(role: iam.Role, steps: BuildSteps) -> None:
    """Let the pipeline start its own builds, and no others."""
    actions = ("codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild")
    access.grant(role, [Right(actions, steps.project_arns())])


def let_replicate(role: iam.Role, pipeline: codepipeline.Pipeline, artifacts: Artifacts) -> None:
    """Let the pipeline hand artifacts on to environments in other regions.

    CDK makes a bucket with a key in each of them, in a support stack of its own.
    """
    for region, support in sorted(pipeline.cross_region_support.items()):
        for construct in support.stack.node.find_all():
            if isinstance(construct, kms.CfnKey):
                construct.enable_key_rotation = True
        excuse(support.stack, "AwsSolutions-S1", "Copies of artifacts; access to what they are copied from is logged.")
        rights = [
            Right(
                ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
                (artifacts.objects(support.replication_bucket.bucket_arn),),
                why_so_wide="Every execution writes objects of its own names; the path is this pipeline's.",
            ),
            Right(
                ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
                (f"arn:aws:kms:{region}:{support.stack.account}:key/*",),
                conditions={"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
                why_so_wide="The key gets its id in the other region; the condition leaves no use but through S3.",
            ),
        ]
        access.grant(role, rights)


def narrow_self_mutation(
    way: pipelines.CodePipeline, steps: BuildSteps, artifacts: Artifacts, places: Sequence[Place]
) -> None:
    """Give the step that CDK makes for self-mutation a stable name and exact rights.

    CDK lets it assume any bootstrap role of the account and read any bucket's listing; it needs those that deploy the
    pipeline's own stack, and the small support stacks that CDK makes in the regions of other environments.

    Args:
        way: The pipeline, built.
        steps: Its steps.
        artifacts: What they hand on.
        places: Of the pipeline and its environments.
    """
    made = way.self_mutation_project.node.default_child
    assert isinstance(made, codebuild.CfnProject)  # noqa: S101 - CDK's own class
    made.name = steps.project(UPDATE)
    role = way.self_mutation_project.role
    assert role is not None  # noqa: S101 - every project has one
    policy = role.node.find_child("DefaultPolicy").node.default_child
    assert isinstance(policy, iam.CfnPolicy)  # noqa: S101 - CDK's own class
    rights = [
        *artifacts.reading(),
        build_steps.log_right(steps.log(UPDATE)),
        Right(
            ("sts:AssumeRole",),
            tuple(
                sorted({there.bootstrap_role(purpose) for there in places for purpose in ("deploy", "file-publishing")})
            ),
        ),
        # The CLI looks for these two with its own credentials, before it takes a role.
        Right(
            ("cloudformation:DescribeStacks",),
            tuple(sorted({there.bootstrap_stack() for there in places})),
            why_so_wide="CloudFormation ends a stack's ARN with an id of its own.",
        ),
        Right(("s3:ListBucket",), tuple(sorted({there.bootstrap_bucket() for there in places}))),
    ]
    policy.policy_document = iam.PolicyDocument(statements=[right.statement() for right in rights])
    access.explain(role, rights)
