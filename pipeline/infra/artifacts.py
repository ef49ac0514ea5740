"""Where a pipeline's stages hand things on: the artifact bucket, its key, and the rights to use them."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from pipeline.infra.access import Right
from pipeline.infra.storage import private_bucket

# A release manager may still look at, retry or approve an execution of last month.
ARTIFACTS_KEPT = Duration.days(60)

_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject",)
_WHY = "Every execution writes objects of its own names; the path is this pipeline's."


class Artifacts(Construct):
    """The artifact bucket.

    A key of its own: builds encrypt what they hand on with it (cdk-nag CB4), and environments in other accounts can be
    let in, which AWS's own key does not allow.
    """

    def __init__(self, scope: Construct, pipeline: str, *, readers: Sequence[str]) -> None:
        """Create it.

        Args:
            scope: The pipeline stack.
            pipeline: Name of the pipeline; its artifacts lie below it.
            readers: ARNs of the roles that deploy templates straight from it, in any account.
        """
        super().__init__(scope, "Artifacts")
        self.key = kms.Key(
            self,
            "Key",
            description=f"Artifacts of the pipeline {pipeline}",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.bucket = private_bucket(
            self,
            "Artifacts",
            versioned=False,  # each artifact has a name of its own
            key=self.key,
            lifecycle=[s3.LifecycleRule(id="old-executions", expiration=ARTIFACTS_KEPT)],
        )
        self._pipeline = pipeline
        self._objects = self.objects(self.bucket.bucket_arn)
        deployers = [iam.ArnPrincipal(arn) for arn in readers]
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ReadToDeploy", actions=list(_READ), resources=[self._objects], principals=deployers
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="DecryptToDeploy", actions=["kms:Decrypt", "kms:DescribeKey"], resources=["*"], principals=deployers
            )
        )

    def closed(self) -> s3.IBucket:
        """The bucket as CDK Pipelines gets it: one whose policy its own, wider, grants do not reach."""
        return s3.Bucket.from_bucket_attributes(
            self,
            "Closed",
            bucket_arn=self.bucket.bucket_arn,
            bucket_name=self.bucket.bucket_name,
            encryption_key=kms.Key.from_key_arn(self, "ClosedKey", self.key.key_arn),
        )

    def objects(self, bucket: str) -> str:
        """ARN of this pipeline's artifacts in a bucket, this one or its copy in another region."""
        return f"{bucket}/{self._pipeline}/*"

    def reading(self) -> tuple[Right, ...]:
        """The rights to take an artifact."""
        return (
            Right(_READ, (self._objects,), why_so_wide=_WHY),
            Right(("kms:Decrypt", "kms:DescribeKey"), (self.key.key_arn,)),
        )

    def writing(self) -> tuple[Right, ...]:
        """The rights to hand one on; S3 and CodeBuild encrypt it in the writer's name."""
        return (
            Right(_WRITE, (self._objects,), why_so_wide=_WHY),
            Right(("kms:Encrypt", "kms:GenerateDataKey"), (self.key.key_arn,)),
        )
