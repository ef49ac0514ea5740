"""What Airflow may do, and what a release may do to it.

The list of what MWAA itself needs is from the MWAA user guide, "Amazon MWAA execution role", with its families of
actions spelled out.
"""

from dataclasses import dataclass

from pipeline import names
from pipeline.infra import task_names
from pipeline.infra.access import Right
from pipeline.infra.place import Place
from pipeline.settings import Settings

_LOGS_WHY = "MWAA creates the log groups of an environment itself, all with this prefix."


@dataclass(frozen=True)
class Surroundings:
    """What an Airflow has to do with.

    Attributes:
        settings: The project's.
        environment: The environment's name.
        place: Where it is.
        bucket: ARN of its bucket.
        tasks: Names of the containers it may start.
    """

    settings: Settings
    environment: str
    place: Place
    bucket: str
    tasks: tuple[str, ...]

    def arn(self, service: str, resource: str) -> str:
        """ARN of a thing in the environment's account and region."""
        return f"arn:aws:{service}:{self.place.region}:{self.place.account}:{resource}"

    @property
    def airflow(self) -> str:
        """Name of the MWAA environment."""
        return names.airflow_environment(self.settings, self.environment)

    @property
    def cluster(self) -> str:
        """Name of the ECS cluster."""
        return task_names.cluster(self.settings, self.environment)


def execution_rights(around: Surroundings) -> tuple[Right, ...]:
    """What Airflow may do: what MWAA needs to run it, and starting this environment's tasks."""
    return (*_mwaa_rights(around), *_task_rights(around))


def _mwaa_rights(around: Surroundings) -> tuple[Right, ...]:
    return (
        Right(("airflow:PublishMetrics",), (around.arn("airflow", f"environment/{around.airflow}"),)),
        Right(
            ("s3:GetObject", "s3:GetObjectVersion"),
            (f"{around.bucket}/*",),
            why_so_wide="DAGs, plugins and requirements: the bucket holds nothing else.",
        ),
        Right(
            (
                "s3:GetBucketLocation",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:ListBucket",
                "s3:ListBucketVersions",
            ),
            (around.bucket,),
        ),
        Right(
            ("s3:GetAccountPublicAccessBlock",),
            ("*",),
            why_so_wide="A question about the account; S3 knows no resource for it.",
        ),
        Right(
            (
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:GetLogEvents",
                "logs:GetLogGroupFields",
                "logs:GetLogRecord",
                "logs:GetQueryResults",
                "logs:PutLogEvents",
            ),
            (around.arn("logs", f"log-group:airflow-{around.airflow}-*"),),
            why_so_wide=_LOGS_WHY,
        ),
        Right(
            ("logs:DescribeLogGroups", "cloudwatch:PutMetricData"),
            ("*",),
            why_so_wide="CloudWatch knows no resource for these two.",
        ),
        Right(
            (
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            (f"arn:aws:sqs:{around.place.region}:*:airflow-celery-*",),
            why_so_wide="Celery's queues are in an account of MWAA, under names it does not tell.",
        ),
        Right(
            ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
            (f"arn:aws:kms:{around.place.region}:*:key/*",),
            conditions={"StringEquals": {"kms:ViaService": f"sqs.{around.place.region}.amazonaws.com"}},
            why_so_wide="The key of Celery's queues is MWAA's own; the condition leaves no other use.",
        ),
    )


def _task_rights(around: Surroundings) -> tuple[Right, ...]:
    cluster = around.arn("ecs", f"cluster/{around.cluster}")
    families = [task_names.family(around.settings, around.environment, task) for task in around.tasks]
    running = around.arn("ecs", f"task/{around.cluster}/*")
    roles = f"arn:aws:iam::{around.place.account}:role{task_names.role_path(around.settings, around.environment)}*"
    log = around.arn("logs", f"log-group:{task_names.log_group(around.settings, around.environment)}:*")
    if not families:
        return ()
    return (
        Right(
            ("ecs:RunTask",),
            tuple(around.arn("ecs", f"task-definition/{family}:*") for family in families),
            conditions={"ArnEquals": {"ecs:cluster": cluster}},
            why_so_wide="Any revision of these families: a release pins the one its DAGs were tested with.",
        ),
        Right(("ecs:DescribeTasks", "ecs:StopTask"), (running,), why_so_wide="Tasks get their ids when they start."),
        # A task that Airflow starts again looks for the container that its last attempt left running.
        Right(
            ("ecs:ListTasks",),
            ("*",),
            conditions={"ArnEquals": {"ecs:cluster": cluster}},
            why_so_wide="ECS lists by container instance, of which Fargate has none; the condition names the cluster.",
        ),
        Right(
            ("ecs:TagResource",),
            (running,),
            conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            why_so_wide="Tasks get their ids when they start.",
        ),
        Right(
            ("iam:PassRole",),
            (roles,),
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            why_so_wide="The roles of this environment's tasks lie below this path, and nothing else does.",
        ),
        Right(
            ("logs:FilterLogEvents", "logs:GetLogEvents"),
            (log,),
            why_so_wide="The streams of one log group; CloudWatch writes them after the colon.",
        ),
    )


def reader_rights(around: Surroundings) -> tuple[Right, ...]:
    """What it takes to see how an environment stands and what a release would change in it."""
    stacks = [names.stack(around.settings, around.environment, part) for part in ("tasks", "airflow")]
    return (
        Right(
            ("s3:GetObject", "s3:GetObjectVersion"),
            (f"{around.bucket}/*",),
            why_so_wide="DAGs, plugins, requirements and release records: the bucket holds nothing else.",
        ),
        Right(
            ("s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketVersions"),
            (around.bucket,),
        ),
        Right(("airflow:GetEnvironment",), (around.arn("airflow", f"environment/{around.airflow}"),)),
        # Airflow's role Viewer: reads DAGs, runs and import errors.
        Right(("airflow:InvokeRestApi",), (around.arn("airflow", f"role/{around.airflow}/Viewer"),)),
        Right(
            ("cloudformation:DescribeStacks",),
            tuple(around.arn("cloudformation", f"stack/{stack}/*") for stack in stacks),
            why_so_wide="CloudFormation ends a stack's ARN with an id of its own.",
        ),
        Right(("ecs:DescribeTaskDefinition",), ("*",), why_so_wide="ECS knows no resource for DescribeTaskDefinition."),
    )


def release_rights(around: Surroundings, execution_role: str) -> tuple[Right, ...]:
    """What the release step may do in an environment, beside reading."""
    return (
        *reader_rights(around),
        Right(
            ("s3:DeleteObject", "s3:PutObject"),
            (f"{around.bucket}/*",),
            why_so_wide="DAGs, plugins, requirements and release records: the bucket holds nothing else.",
        ),
        # UpdateEnvironment asks for the bucket's encryption in the caller's name.
        Right(("s3:GetEncryptionConfiguration",), (around.bucket,)),
        Right(("airflow:UpdateEnvironment",), (around.arn("airflow", f"environment/{around.airflow}"),)),
        # Airflow's role User: reads DAGs and import errors, and may ask for a DAG to be parsed again.
        Right(("airflow:InvokeRestApi",), (around.arn("airflow", f"role/{around.airflow}/User"),)),
        Right(
            ("iam:PassRole",),
            (execution_role,),
            conditions={"StringEquals": {"iam:PassedToService": "airflow.amazonaws.com"}},
        ),
        Right(
            ("logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"),
            (around.arn("logs", f"log-group:airflow-{around.airflow}-*"),),
            why_so_wide=_LOGS_WHY,
        ),
    )
