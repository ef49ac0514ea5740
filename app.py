"""Read the settings, compose the pipeline and its environments, synth."""

import json
import os
import sys
from pathlib import Path

from aws_cdk import App

from pipeline import settings as project_settings
from pipeline.errors import PipelineError, UsageError
from pipeline.images.containers import discover
from pipeline.images.content import content_tags
from pipeline.infra import nag, place
from pipeline.infra.pipeline_stack import PipelineStack

PACKAGE_FILE = Path("package.json")


def main() -> None:
    """Synth; a failure that a person can mend is a sentence and an exit code."""
    try:
        synth(os.environ.get("CDK_DEFAULT_ACCOUNT"))
    except PipelineError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def synth(callers_account: str | None) -> None:
    """Compose everything and write the cloud assembly.

    Args:
        callers_account: The account of whoever synthesizes, if known.
    """
    settings = project_settings.load(Path())
    containers = discover(Path("containers"))
    app = App(analytics_reporting=False)
    PipelineStack(
        app,
        settings,
        place=place.of_pipeline(settings, callers_account),
        containers=containers,
        tags=content_tags(containers),
        cli_version=cli_version(PACKAGE_FILE),
    )
    nag.check(app)
    app.synth()


def cli_version(package: Path) -> str:
    """The version of the CDK CLI that the project pins.

    Raises:
        UsageError: It pins none.
    """
    try:
        return str(json.loads(package.read_text(encoding="utf-8"))["devDependencies"]["aws-cdk"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"devDependencies.aws-cdk is not there: {error}", where=str(package)) from None


if __name__ == "__main__":
    main()
