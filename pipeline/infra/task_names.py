"""Names by which the stacks of an environment refer to each other's things.

Names instead of CloudFormation exports: an export cannot be removed while another stack imports it, so a container
could not be removed in one deploy.
"""

from pipeline.settings import Settings


def cluster(settings: Settings, environment: str) -> str:
    """The ECS cluster."""
    return f"{settings.name}-{environment}"


def family(settings: Settings, environment: str, container: str) -> str:
    """The task-definition family of a container."""
    return f"{settings.name}-{environment}-{container}"


def log_group(settings: Settings, environment: str) -> str:
    """The log of all tasks."""
    return f"/{settings.name}/{environment}/tasks"


def role_path(settings: Settings, environment: str) -> str:
    """The IAM path below which the tasks' roles lie, and nothing else."""
    return f"/{settings.name}/{environment}/tasks/"
