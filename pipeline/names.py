"""Names that two packages must agree on, because one creates the thing and another looks it up."""

from pipeline.settings import Settings

RELEASE_FILE = "dags/_release.json"
DATA_BUCKET_VARIABLE = "DATA_BUCKET"  # what a task's stack adds to the variables that its container declares
BOOTSTRAP_QUALIFIER = "hnb659fds"  # CDK's default
LONGEST_SUMMARY = 700  # characters of a dossier's summary, which an approval's request holds beside other things


def pipeline_stack(settings: Settings) -> str:
    """The CloudFormation stack of the pipeline itself."""
    return f"{settings.name}-pipeline"


def code_pipeline(settings: Settings) -> str:
    """The CodePipeline."""
    return settings.name


def stack(settings: Settings, environment: str, part: str) -> str:
    """A stack of an environment; `part` is `network`, `tasks` or `airflow`."""
    return f"{settings.name}-{environment}-{part}"


def airflow_environment(settings: Settings, environment: str) -> str:
    """The MWAA environment."""
    return f"{settings.name}-{environment}"


def image_repository(settings: Settings, container: str) -> str:
    """The ECR repository of a container."""
    return f"{settings.name}/{container}"


def release_role(settings: Settings, environment: str, account: str) -> str:
    """ARN of the role, in the environment's account, that publishes a release."""
    return f"arn:aws:iam::{account}:role/{settings.name}-{environment}-release"


def reader_role(settings: Settings, environment: str, account: str) -> str:
    """ARN of the role, in the environment's account, that sees what a release would change and changes nothing."""
    return f"arn:aws:iam::{account}:role/{settings.name}-{environment}-reader"


def secret_arn(value: str, account: str, region: str) -> str:
    """The ARN that a container.toml means by a secret's name or ARN: a name is one of the environment's own place."""
    return value if value.startswith("arn:") else f"arn:aws:secretsmanager:{region}:{account}:secret:{value}"


def bootstrap_role(purpose: str, account: str, region: str) -> str:
    """ARN of a role that `cdk bootstrap` created: `deploy`, `cfn-exec`, `file-publishing`."""
    return f"arn:aws:iam::{account}:role/cdk-{BOOTSTRAP_QUALIFIER}-{purpose}-role-{account}-{region}"


def deploy_role(account: str, region: str) -> str:
    """ARN of the role in which CDK deploys stacks there."""
    return bootstrap_role("deploy", account, region)


class Outputs:
    """Keys of the stack outputs that the release step reads."""

    # stack `airflow`
    BUCKET = "Bucket"
    AIRFLOW_ENVIRONMENT = "AirflowEnvironment"
    # stack `tasks`
    CLUSTER = "Cluster"
    SUBNETS = "Subnets"  # comma-separated ids
    SECURITY_GROUP = "SecurityGroup"
    DATA_BUCKET = "DataBucket"
    TASK_DEFINITIONS = "TaskDefinitions"  # JSON: container name → task definition ARN with revision
    LOG_GROUP = "LogGroup"  # the awslogs stream prefix is the container's name
