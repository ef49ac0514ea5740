"""Where things are deployed: account and region, known at synth, so that synth asks AWS nothing."""

from dataclasses import dataclass

from aws_cdk import Environment

from pipeline import names
from pipeline.errors import UsageError
from pipeline.settings import SETTINGS_FILE, Settings


@dataclass(frozen=True)
class Place:
    """An account and a region."""

    account: str
    region: str

    def env(self) -> Environment:
        """In CDK's words."""
        return Environment(account=self.account, region=self.region)

    def bootstrap_role(self, purpose: str) -> str:
        """ARN of a role that `cdk bootstrap` created there: `deploy`, `cfn-exec`, `file-publishing`."""
        return names.bootstrap_role(purpose, self.account, self.region)

    def bootstrap_bucket(self) -> str:
        """ARN of the bucket that `cdk bootstrap` created there for templates."""
        return f"arn:aws:s3:::cdk-{names.BOOTSTRAP_QUALIFIER}-assets-{self.account}-{self.region}"

    def bootstrap_stack(self) -> str:
        """ARN of the stack that `cdk bootstrap` made there, up to its id."""
        return f"arn:aws:cloudformation:{self.region}:{self.account}:stack/CDKToolkit/*"


def of_pipeline(settings: Settings, callers_account: str | None) -> Place:
    """Where the pipeline is.

    Args:
        settings: The project's.
        callers_account: The account of whoever synthesizes; the settings' account goes before it.

    Raises:
        UsageError: Neither is known.
    """
    account = settings.account or callers_account
    if account is None:
        raise UsageError(
            "the account is not known: context.pipeline.account is not set, and nobody is logged in to AWS",
            where=SETTINGS_FILE,
            mend='Log in, set it, or for the local AWS run: eval "$(pipeline local env)"',
        )
    return Place(account, settings.region)


def of_environment(settings: Settings, environment: str, pipeline: Place) -> Place:
    """Where an environment is: the pipeline's place, but for what the settings say."""
    return Place(settings.environment(environment).account or pipeline.account, settings.region_of(environment))
