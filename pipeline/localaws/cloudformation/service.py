"""CloudFormation's API: checks what is asked, answers at once, and lets operations run on in threads of their own."""

from moto.core.config import default_user_config

from pipeline.localaws.cloudformation.change_set_operations import ChangeSetOperations
from pipeline.localaws.cloudformation.stack_operations import StackOperations
from pipeline.localaws.cloudformation.template_operations import TemplateOperations

# AWS's own managed policies exist in every account; moto brings them only when asked, before IAM is first used.
default_user_config["iam"]["load_aws_managed_policies"] = True


class CloudFormation(StackOperations, TemplateOperations, ChangeSetOperations):
    """CloudFormation, for every account and region that calls it."""
